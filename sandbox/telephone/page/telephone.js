// The telephone. It shows what the network says has happened, and orders what the buttons say. Text is always text here:
// nothing that was said becomes markup.
"use strict";

const $ = (id) => document.getElementById(id);
const line = new WebSocket(`ws://${location.host}/line`);
line.binaryType = "arraybuffer";
const order = (what) => line.readyState === WebSocket.OPEN && line.send(JSON.stringify(what));

// --- buttons ---------------------------------------------------------------------------------------------------------

for (const digit of "123456789*0#") {
  const key = document.createElement("button");
  key.type = "button";
  key.textContent = digit;
  key.setAttribute("aria-label", { "*": "star", "#": "hash" }[digit] ?? digit);
  key.addEventListener("click", () => order({ do: "key", digit }));
  $("pad").append(key);
}
addEventListener("keydown", (event) => {
  const typing = event.target.matches("input, button, a");
  if (!typing && !event.ctrlKey && !event.metaKey && !event.altKey && "0123456789*#".includes(event.key)) order({ do: "key", digit: event.key });
});
$("call").addEventListener("click", () => {
  audio();
  order({ do: "call" });
});
$("hang-up").addEventListener("click", () => order({ do: "hang up" }));
$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("words").value.trim()) order({ do: "say", text: $("words").value });
  $("words").value = "";
});

// --- sound -----------------------------------------------------------------------------------------------------------

let context = null;
let playedUntil = 0;
let sound = true;

function audio() {
  context ??= new AudioContext();
  context.resume();
  return context;
}

function play(buffer) {
  if (!context || !sound) return;
  const samples = new Int16Array(buffer);
  const piece = context.createBuffer(1, samples.length, 8000);
  const channel = piece.getChannelData(0);
  for (let n = 0; n < samples.length; n += 1) channel[n] = samples[n] / 32768;
  const source = context.createBufferSource();
  source.buffer = piece;
  source.connect(context.destination);
  playedUntil = Math.max(playedUntil, context.currentTime + 0.08);
  source.start(playedUntil);
  playedUntil += piece.duration;
}

$("sound").addEventListener("click", () => {
  sound = !sound;
  $("sound").setAttribute("aria-pressed", String(sound));
});

let microphone = null;
async function startMicrophone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
  await audio().audioWorklet.addModule("/microphone.js");
  const source = context.createMediaStreamSource(stream);
  const worklet = new AudioWorkletNode(context, "microphone", { numberOfOutputs: 0 });
  worklet.port.onmessage = ({ data }) => line.readyState === WebSocket.OPEN && live && line.send(data);
  source.connect(worklet);
  return () => {
    source.disconnect();
    for (const track of stream.getTracks()) track.stop();
  };
}
$("microphone").addEventListener("click", async () => {
  try {
    if (microphone) microphone = microphone();
    else microphone = await startMicrophone();
  } catch (error) {
    write("you", "caller", `The browser gave no microphone: ${error.message}`);
  }
  $("microphone").setAttribute("aria-pressed", String(Boolean(microphone)));
});

// --- what happens ------------------------------------------------------------------------------------------------------

let live = false;
let began = 0;
let offset = 0; // the network's clock minus ours
const now = () => performance.now() / 1000 + offset;

line.onmessage = ({ data }) => {
  if (data instanceof ArrayBuffer) play(data);
  else {
    const told = JSON.parse(data);
    if (told.state) state(told);
    else note(told);
  }
};
line.onclose = () => {
  $("state").textContent = "The sandbox is gone";
  enable(false);
  $("call").disabled = true;
};

function enable(on) {
  live = on;
  $("call").disabled = on;
  for (const id of ["hang-up", "words", "speak", "microphone"]) $(id).disabled = !on;
}

function state(told) {
  offset = told.now - performance.now() / 1000;
  if (told.state === "calling") {
    began = told.now;
    bars.length = 0;
    $("people").replaceChildren();
    $("said").replaceChildren();
    $("console").href = told.console;
    $("console").hidden = false;
    $("state").textContent = "On the line";
    enable(true);
    $("words").focus();
  } else if (told.state === "ended") {
    close();
    $("state").textContent = "The call has ended";
    enable(false);
    $("call").focus();
  }
}

function note({ note: what, lane, at, data }) {
  switch (`${lane} ${what}`) {
    case "caller says": return write("you", lane, data.text, at);
    case "caller presses": return write("you", lane, `press ${data.digit}`, at);
    case "caller hangs up": return write("you", lane, "hang up", at);
    case "caller speaks": return open("caller", "b-caller", at);
    case "caller falls silent": return shut("caller", at);
    case "model says": return write("bot", lane, data.text, at);
    case "model calls": return write("bot", lane, `${data.name}(${data.arguments})`, at);
    case "bot speech started": return open("bot", "b-bot", at);
    case "bot speech stopped": return shut("bot", at);
    case "rest redirect": return bars.push({ lane: "bot", look: "b-mark", from: at, to: at + 0.05 });
    case "network says": return write("network", lane, data.text, at);
    case "network recording": return write("network", lane, "records a message", at);
    case "network error": return write("network", lane, data.text, at);
  }
  if (lane === "person") person(what, at, data);
}

function write(by, lane, text, at = now()) {
  const entry = document.createElement("li");
  entry.className = `l-${lane}`;
  for (const [name, words] of [["at", clock(at - began)], ["by", by]]) {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = words;
    entry.append(span);
  }
  const said = document.createElement("bdi");
  said.textContent = text ?? "";
  entry.append(said);
  $("said").append(entry);
}

// --- people ------------------------------------------------------------------------------------------------------------

const RINGING = [["Answer", "answer"], ["Decline", "decline"], ["Busy", "busy"], ["Let it ring", "ring"], ["Mailbox", "machine"]];
const TALKING = [["Press 1", "1"], ["Press 2", "2"], ["Hang up", "bye"]];

function person(what, at, data) {
  const card = data.leg && $(data.leg);
  switch (what) {
    case "rings": {
      open(data.leg, "b-ring", at, "person");
      write("person", "person", `the phone of ${data.number} rings`, at);
      return show(data.leg, data.number, "rings", "rings", RINGING);
    }
    case "answers":
      shut(data.leg, at);
      return card && show(data.leg, data.number, "answered", data.machine ? "a mailbox answers" : "has picked up", TALKING);
    case "bridged":
      open(data.leg, "b-talk", at, "person");
      write("person", "person", `${data.number} has the caller`, at);
      return card && show(data.leg, data.number, "talks", "talks with the caller", TALKING);
    case "says": return write("person", "person", data.text, at);
    case "presses": return write("person", "person", `${data.number} presses ${data.digit}`, at);
    case "leg ended":
      shut(data.leg, at);
      return card && show(data.leg, data.number, "over", `over: ${data.status}`, []);
  }
}

function show(leg, number, look, words, buttons) {
  const held = $(leg)?.contains(document.activeElement);
  const card = document.createElement("li");
  card.id = leg;
  card.className = `card ${look}`;
  const name = document.createElement("strong");
  name.textContent = number;
  const what = document.createElement("span");
  what.className = "what";
  what.textContent = words;
  const row = document.createElement("div");
  row.className = "row";
  for (const [text, act] of buttons) {
    const button = document.createElement("button");
    button.textContent = text;
    button.setAttribute("aria-label", `${text}: ${number}`);
    button.addEventListener("click", () => order({ do: "person", leg, act }));
    row.append(button);
  }
  card.append(name, what, row);
  if ($(leg)) $(leg).replaceWith(card);
  else $("people").prepend(card);
  if (held) row.firstElementChild?.focus();
  $("nobody").hidden = true;
}

// --- lanes -------------------------------------------------------------------------------------------------------------

const bars = [];
const LANES = ["caller", "bot", "person"];
const open = (key, look, at, lane = key) => bars.push({ key, lane, look, from: at, to: null });
const shut = (key, at) => bars.forEach((bar) => bar.key === key && bar.to === null && (bar.to = at));
const close = () => bars.forEach((bar) => bar.to === null && (bar.to = now()));

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const clock = (seconds) => `${Math.floor(Math.max(0, seconds) / 60)}:${String(Math.floor(Math.max(0, seconds)) % 60).padStart(2, "0")}`;

function draw() {
  if (!began) return;
  const svg = $("lanes");
  const end = live ? now() : Math.max(began + 1, ...bars.map((bar) => bar.to ?? now()));
  const width = Math.max(svg.parentElement.clientWidth, (end - began) * 12 + 70);
  const scale = (width - 70) / Math.max(end - began, 10);
  const parts = LANES.flatMap((lane, n) => [
    element("text", { x: 0, y: 30 + n * 44 }, lane[0].toUpperCase() + lane.slice(1)),
    element("line", { x1: 62, x2: width, y1: 44 + n * 44, y2: 44 + n * 44 }),
  ]);
  for (const bar of bars) {
    const x = 62 + (bar.from - began) * scale;
    const length = Math.max(((bar.to ?? now()) - bar.from) * scale, 2);
    parts.push(element("rect", { class: bar.look, x, y: 14 + LANES.indexOf(bar.lane) * 44, width: length, height: 24, rx: 5 }));
  }
  const stuck = svg.parentElement.scrollLeft + svg.parentElement.clientWidth >= svg.parentElement.scrollWidth - 4;
  svg.setAttribute("width", width);
  svg.replaceChildren(...parts);
  if (stuck) svg.parentElement.scrollLeft = svg.parentElement.scrollWidth;
}

setInterval(() => {
  if (live) $("time").textContent = clock(now() - began);
  if (live || bars.length) draw();
}, 250);
