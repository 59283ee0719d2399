// What passes on a call's media stream, played as Twilio plays it: µ-law of 8 kHz, piece after piece, and thrown away where
// Twilio is told to.
export const RATE = 8000;
const LATER = 0.12; // seconds that sound waits for what comes after it
export const LATEST = 1; // a caller who is heard later than that is let catch up
const ACKNOWLEDGED = 25;

const LINEAR = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff;
  const size = ((((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84;
  return (code & 0x80 ? -size : size) / 32768;
}); // ITU-T G.711

export class Voice {
  constructor(output, longest) {
    this.output = output;
    this.longest = longest;
    this.until = 0;
    this.waiting = new Set();
  }

  play(payload) {
    const bytes = atob(payload);
    const { context } = this.output;
    if (!bytes.length || this.until > context.currentTime + this.longest) return;
    const buffer = context.createBuffer(1, bytes.length, RATE);
    const samples = buffer.getChannelData(0);
    for (let n = 0; n < bytes.length; n++) samples[n] = LINEAR[bytes.charCodeAt(n)];
    if (this.until < context.currentTime) this.until = context.currentTime + LATER;
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(this.output);
    source.onended = () => this.waiting.delete(source);
    source.start(this.until);
    this.waiting.add(source);
    this.until += buffer.duration;
  }

  clear() {
    for (const source of this.waiting) source.stop();
    this.waiting.clear();
    this.until = 0;
  }
}

// The socket of a call: what passes on it is played by the voice of its side, `c` for the caller and `b` for the bot. `end` is
// called once, with the reason in words.
export function openLine(control, voices, end) {
  const address = new URL(control.dataset.address, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  let got = 0;
  socket.onmessage = ({ data }) => {
    if (data.startsWith("{")) return end(JSON.parse(data).words);
    if (++got % ACKNOWLEDGED === 0) socket.send("");
    try {
      const message = JSON.parse(data.slice(1));
      if (message.event === "media") voices[data[0]].play(message.media.payload);
      else if (message.event === "clear") voices[data[0]].clear();
    } catch {
      // whatever came was no sound
    }
  };
  socket.onclose = () => end("The connection is lost, or your session is over. Try again.");
  return socket;
}

export function closeLine(socket) {
  socket.onclose = socket.onmessage = null;
  socket.close();
}

// Shows how loud a node's sound is, until the interval that it returns is cleared.
export function showLevel(node, meter) {
  const samples = new Float32Array(node.fftSize);
  return setInterval(() => {
    node.getFloatTimeDomainData(samples);
    meter.value = Math.max(...samples.map(Math.abs));
  }, 100);
}
