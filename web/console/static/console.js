// Keeps the page up to date. The server sends pieces of HTML that it has made and escaped; this puts them in their place,
// and leaves alone what somebody is typing, where the focus is, and how far something is scrolled.
"use strict";

const token = document.querySelector('meta[name="form-token"]')?.content ?? "";

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const element = template.content.firstElementChild;
  for (const hidden of element.querySelectorAll('input[name="form"]')) hidden.value = token;
  return element;
}

function replace(id, html) {
  const old = document.getElementById(id);
  if (!old) return;
  const fresh = made(html);
  if (old.isEqualNode(fresh)) return; // a page that is sent whole again: somebody may be listening to what is on it
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  for (const field of old.querySelectorAll("input[data-key], select[data-key]")) {
    const twin = fresh.querySelector(`[data-key="${field.dataset.key}"]`);
    if (twin) twin.value = field.value;
  }
  for (const details of old.querySelectorAll("details[data-key]")) {
    const twin = fresh.querySelector(`[data-key="${details.dataset.key}"]`);
    if (twin) twin.open = details.open;
  }
  for (const kept of old.querySelectorAll("[data-keep]")) fresh.querySelector(`#${kept.id}`)?.replaceWith(kept);
  const scrolled = [...old.querySelectorAll("[data-stick]")].map((s) => [s.scrollLeft, s.scrollLeft + s.clientWidth >= s.scrollWidth - 4]);
  old.replaceWith(fresh);
  [...fresh.querySelectorAll("[data-stick]")].forEach((s, n) => {
    s.scrollLeft = scrolled[n]?.[1] ? s.scrollWidth : scrolled[n]?.[0] ?? 0;
  });
  if (focused?.dataset.key) fresh.querySelector(`[data-key="${focused.dataset.key}"]`)?.focus({ preventScroll: true });
}

function insert(parent, after, html) {
  const list = document.getElementById(parent);
  if (!list) return;
  const element = made(html);
  const before = after && document.getElementById(after);
  if (before && before.parentElement === list) before.after(element);
  else if (after) list.append(element);
  else list.prepend(element);
}

function take(patch) {
  for (const [id, html] of Object.entries(patch.changed ?? {})) replace(id, html);
  for (const id of patch.removed ?? []) document.getElementById(id)?.remove();
  for (const [parent, after, html] of patch.added ?? []) insert(parent, after, html);
  for (const [parent, ids] of Object.entries(patch.inside ?? {})) {
    const wanted = new Set(ids);
    for (const child of [...(document.getElementById(parent)?.children ?? [])]) if (!wanted.has(child.id)) child.remove();
    let after = "";
    for (const id of ids) {
      if (document.getElementById(id)) replace(id, patch.html[id]);
      else insert(parent, after, patch.html[id]);
      after = id;
    }
  }
  tick();
}

// --- the stream ------------------------------------------------------------------------------------------------------

function link(state, words) {
  const shown = document.getElementById("link");
  if (!shown) return;
  shown.className = `link ${state}`;
  const text = document.getElementById("link-words");
  if (text.textContent !== words) text.textContent = words;
}

const address = document.body.dataset.live;
let stream = null;

function follow() {
  stream = new EventSource(address);
  stream.onmessage = (message) => {
    link("up", "live");
    take(JSON.parse(message.data));
  };
  stream.onerror = () => {
    link("down", "reconnecting");
    if (stream?.readyState === EventSource.CLOSED) setTimeout(again, 2000); // it was refused, and does not try again itself
  };
}

async function again() {
  if (!stream) return;
  try {
    const page = await fetch(location.href, { method: "HEAD", redirect: "manual" });
    if (page.type === "opaqueredirect") location.reload(); // the session is over: the way leads to the login
  } catch {
    // the server does not answer yet
  }
  follow();
}

function rest() {
  stream?.close();
  stream = null;
}

// A browser has few connections to one server (HTTP/1.1: six). A tab that nobody sees leaves its own to the others.
let resting = 0;
function seen() {
  clearTimeout(resting);
  if (document.hidden) resting = setTimeout(rest, 5000);
  else if (!stream) follow();
}
if (address) {
  seen();
  document.addEventListener("visibilitychange", seen);
  addEventListener("pagehide", rest);
}
addEventListener("pageshow", (event) => event.persisted && location.reload());

// Who is at the login has no session any more; what other tabs show of it goes away.
const tabs = new BroadcastChannel("console");
if (token) tabs.onmessage = () => location.reload();
else if (document.querySelector("form[action='/console/login']")) tabs.postMessage("logged out");

// --- clocks ----------------------------------------------------------------------------------------------------------

function tick() {
  const now = Date.now() / 1000;
  for (const element of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, Math.floor(now - Number(element.dataset.since)));
    const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
    const two = (n) => String(n).padStart(2, "0");
    element.textContent = hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
  }
}
tick();
setInterval(tick, 1000);

// --- acts ------------------------------------------------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-act]")) return;
  event.preventDefault();
  const told = document.getElementById("told");
  const body = new URLSearchParams(new FormData(form, event.submitter));
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const { words, done } = await answer.json();
    told.textContent = words ?? "That was not possible.";
    told.classList.toggle("bad", !done);
    if (done) for (const field of form.querySelectorAll("input:not([type=hidden])")) field.value = "";
  } catch {
    told.textContent = "The server does not answer. Nothing was done, as far as this page knows.";
    told.classList.add("bad");
  }
});
