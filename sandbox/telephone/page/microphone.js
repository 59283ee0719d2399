// Takes what the microphone hears down to 8 kHz, a sixteenth of a second at a time.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.position = 0;
    this.sum = 0;
    this.count = 0;
    this.samples = [];
  }

  process([input]) {
    const step = sampleRate / 8000;
    for (const sample of input[0] ?? []) {
      this.sum += sample;
      this.count += 1;
      this.position += 1;
      if (this.position < step) continue;
      this.position -= step;
      this.samples.push(Math.max(-32768, Math.min(32767, Math.round((this.sum / this.count) * 32767))));
      this.sum = this.count = 0;
      if (this.samples.length === 500) {
        const chunk = new Int16Array(this.samples);
        this.port.postMessage(chunk.buffer, [chunk.buffer]);
        this.samples = [];
      }
    }
    return true;
  }
}

registerProcessor("microphone", Microphone);
