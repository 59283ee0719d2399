// Listening in: the messages of a call's media stream, in both directions, played as Twilio plays them. What the bot says
// comes faster than it is heard and waits its turn; when the caller interrupts, the rest of it is thrown away.
"use strict";

const RATE = 8000;
const LATER = 0.12; // seconds that sound waits for what comes after it
const LATEST = 1; // a caller who is heard later than that is let catch up
const ACKNOWLEDGED = 25;

const LINEAR = Float32Array.from({ length: 256 }, (_, byte) => {
  const code = ~byte & 0xff;
  const size = ((((code & 0x0f) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84;
  return (code & 0x80 ? -size : size) / 32768;
}); // ITU-T G.711

class Voice {
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

let end = null; // ends what is being heard

function listen(control) {
  const button = control.querySelector("button");
  const words = control.querySelector("[role=status]");
  const level = control.querySelector("meter");
  const context = new AudioContext({ sampleRate: RATE });
  const output = new AnalyserNode(context, { fftSize: 2048 });
  output.connect(context.destination);
  const voices = { c: new Voice(output, LATEST), b: new Voice(output, Infinity) };
  const address = new URL(control.dataset.address, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  let got = 0;

  function take(text) {
    if (++got % ACKNOWLEDGED === 0) socket.send("");
    const message = JSON.parse(text.slice(1));
    const voice = voices[text[0]];
    if (message.event === "media") voice.play(message.media.payload);
    else if (message.event === "clear") voice.clear();
  }

  const looking = setInterval(() => {
    const samples = new Float32Array(output.fftSize);
    output.getFloatTimeDomainData(samples);
    level.value = Math.max(...samples.map(Math.abs));
  }, 100);

  function shown(on, told) {
    button.setAttribute("aria-pressed", on);
    button.textContent = on ? "Stop listening" : "Listen in";
    level.hidden = !on;
    if (told) words.textContent = told;
  }

  end = (told) => {
    end = null;
    clearInterval(looking);
    socket.onclose = socket.onmessage = null;
    socket.close();
    context.close();
    shown(false, told);
  };

  shown(true, "Connecting.");
  socket.onopen = () => shown(true, "You hear what the caller says, and the bot from its next words on.");
  socket.onmessage = ({ data }) => {
    if (data.startsWith("{")) end?.(JSON.parse(data).words);
    else {
      try {
        take(data);
      } catch {
        // whatever came was no sound
      }
    }
  };
  socket.onclose = () => end?.("The connection is lost, or your session is over. Try again.");
}

document.addEventListener("click", (event) => {
  if (!event.target.matches("#listen-button")) return;
  if (end) end("You have stopped listening.");
  else listen(event.target.closest("#listen"));
});
addEventListener("pagehide", () => end?.(""));
