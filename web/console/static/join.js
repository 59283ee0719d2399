// Talking with the caller in the bot's place: the caller is heard, and what the microphone hears is sent, 20 ms after 20 ms. The
// bot leaves only when the microphone is there, and comes back when this ends, however it ends.
import { LATEST, Voice, closeLine, openLine, showLevel } from "./voice.js";

let talk = null; // what is going on: `end` and `mute`

async function openMicrophone(context) {
  const sound = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const [stream] = await Promise.all([
    navigator.mediaDevices.getUserMedia({ audio: sound }),
    context.audioWorklet.addModule("/console/static/microphone.js"),
  ]);
  return stream;
}

function shown(control, on, told) {
  const [button, mute] = control.querySelectorAll("button");
  button.setAttribute("aria-pressed", on);
  button.textContent = on ? "Give back to the bot" : "Talk to the caller";
  mute.hidden = control.querySelector("meter").hidden = !on;
  mute.setAttribute("aria-pressed", false);
  if (told) control.querySelector("[role=status]").textContent = told;
}

async function join(control) {
  const context = new AudioContext();
  let stream = null;
  let socket = null;
  let looking = 0;

  const end = (told) => {
    talk = null;
    clearInterval(looking);
    if (socket) closeLine(socket);
    for (const track of stream?.getTracks() ?? []) track.stop();
    context.close();
    shown(control, false, told);
  };

  talk = { end, mute: () => {} };
  const mine = talk;
  shown(control, true, "Waiting for your microphone.");
  try {
    stream = await openMicrophone(context);
  } catch (error) {
    if (talk === mine) end(`There is no microphone here, so the bot stays: ${error.message}`);
    return;
  }
  if (talk !== mine) {
    for (const track of stream.getTracks()) track.stop(); // given up meanwhile
    return;
  }
  document.dispatchEvent(new Event("joining"));
  const caller = new Voice(new GainNode(context), LATEST);
  caller.output.connect(context.destination);
  socket = openLine(control, { c: caller }, end);
  socket.onopen = () => shown(control, true, "The caller hears you. The bot comes back when you leave.");
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: stream });
  const level = new AnalyserNode(context, { fftSize: 2048 });
  const microphone = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  source.connect(level).connect(microphone);
  microphone.port.onmessage = ({ data }) => socket.readyState === WebSocket.OPEN && socket.send(data);
  looking = showLevel(level, control.querySelector("meter"));
  stream.getTracks()[0].onended = () => talk === mine && end("Your microphone is gone, so the bot has the caller again.");
  talk.mute = (button) => {
    const muted = button.getAttribute("aria-pressed") !== "true";
    for (const track of stream.getTracks()) track.enabled = !muted; // silence is sent on: it is a sign of life
    button.setAttribute("aria-pressed", muted);
  };
}

document.addEventListener("click", ({ target }) => {
  if (target.matches("#mute-button")) talk?.mute(target);
  if (!target.matches("#join-button")) return;
  if (talk) talk.end("You have left. The bot has the caller again.");
  else if (target.closest("[data-joinable]")) join(target.closest("#join"));
  else {
    const { phase } = target.closest("#acts").dataset;
    target.closest("#join").querySelector("[role=status]").textContent = `The caller is ${phase}. You can talk to one who is with the bot.`;
  }
});
addEventListener("pagehide", () => talk?.end(""));
