// Recordings, and the message that a caller left: while one is heard, a cursor moves along the lanes. A click on the lanes
// leads to that moment of the recording that has it; the browser's own controls do the same with keys.
"use strict";

const sounds = () => [...document.querySelectorAll("audio[data-began]")];
const drawing = () => document.querySelector("#lanes svg");
let heard = null;

function place(sound) {
  const svg = drawing();
  const cursor = svg?.querySelector(".cursor");
  if (!cursor) return;
  const x = (Number(sound.dataset.began) + sound.currentTime - Number(svg.dataset.began)) * Number(svg.dataset.scale);
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  const view = svg.parentElement;
  if (!sound.paused && (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth)) view.scrollLeft = x - 40;
}

function move() {
  if (!heard) return;
  place(heard);
  if (!heard.paused) requestAnimationFrame(move);
}

// These events do not bubble; they are caught on their way down, for players that come while the page is open, too.
document.addEventListener("play", ({ target }) => {
  for (const other of sounds()) if (other !== target) other.pause();
  heard = target;
  requestAnimationFrame(move);
}, true);
for (const kind of ["timeupdate", "seeking", "seeked", "pause"]) {
  document.addEventListener(kind, ({ target }) => {
    if (!target.matches("audio[data-began]")) return;
    heard = target;
    place(target);
  }, true);
}

// The lanes are drawn anew when something is learnt of the call, also of one that is over. The cursor stays where it was.
new MutationObserver(() => heard && place(heard)).observe(document.getElementById("lanes").parentElement, { childList: true });

document.addEventListener("click", (event) => {
  const svg = event.target.closest("#lanes svg");
  if (!svg) return;
  const at = Number(svg.dataset.began) + (event.clientX - svg.getBoundingClientRect().left) / Number(svg.dataset.scale);
  const has = (sound) => {
    const began = Number(sound.dataset.began);
    return began <= at && at < began + Number(sound.dataset.seconds || sound.duration || 0);
  };
  const sound = sounds().find(has);
  if (!sound) return;
  sound.currentTime = at - Number(sound.dataset.began);
  heard = sound;
  place(sound);
});
