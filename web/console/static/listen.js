// Listening in: both directions of a call's media stream. What the bot says comes faster than it is heard and waits its turn;
// when the caller interrupts, the rest of it is thrown away.
import { LATEST, RATE, Voice, closeLine, openLine, showLevel } from "./voice.js";

let end = null; // ends what is being heard

function listen(control) {
  const button = control.querySelector("button");
  const words = control.querySelector("[role=status]");
  const level = control.querySelector("meter");
  const context = new AudioContext({ sampleRate: RATE });
  const output = new AnalyserNode(context, { fftSize: 2048 });
  output.connect(context.destination);
  const looking = showLevel(output, level);

  function shown(on, told) {
    button.setAttribute("aria-pressed", on);
    button.textContent = on ? "Stop listening" : "Listen in";
    level.hidden = !on;
    if (told) words.textContent = told;
  }

  end = (told) => {
    end = null;
    clearInterval(looking);
    closeLine(socket);
    context.close();
    shown(false, told);
  };

  shown(true, "Connecting.");
  const voices = { c: new Voice(output, LATEST), b: new Voice(output, Infinity) };
  const socket = openLine(control, voices, (told) => end?.(told));
  socket.onopen = () => shown(true, "You hear what the caller says, and the bot from its next words on.");
}

document.addEventListener("click", (event) => {
  if (!event.target.matches("#listen-button")) return;
  if (end) end("You have stopped listening.");
  else listen(event.target.closest("#listen"));
});
document.addEventListener("joining", () => end?.("You talk with the caller, and hear them there."));
addEventListener("pagehide", () => end?.(""));
