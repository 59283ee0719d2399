// What the microphone hears as Twilio takes it: µ-law of 8 kHz (ITU-T G.711), 20 ms in a message.
const RATE = 8000;
const BLOCK = 160;
const CLIP = 32635;
const BIAS = 0x84;

function encoded(sample) {
  const value = Math.max(-CLIP, Math.min(CLIP, Math.round(sample * 32767)));
  const size = Math.abs(value) + BIAS;
  const exponent = 24 - Math.clz32(size); // of the highest bit, from 7 to 14, counted from 0
  return ~((value < 0 ? 0x80 : 0) | (exponent << 4) | ((size >> (exponent + 3)) & 0x0f)) & 0xff;
}

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE;
    this.filled = 0; // how much of the next sample there is, in samples of the microphone
    this.sum = this.count = 0;
    this.block = new Uint8Array(BLOCK);
    this.length = 0;
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.sum += sample;
      this.count += 1;
      this.filled += 1;
      if (this.filled < this.step) continue;
      const mean = this.sum / this.count;
      this.filled -= this.step;
      this.sum = this.count = 0;
      this.block[this.length++] = encoded(mean);
      if (this.length < BLOCK) continue;
      this.port.postMessage(this.block.buffer, [this.block.buffer]);
      this.block = new Uint8Array(BLOCK);
      this.length = 0;
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
