// What a listing can do besides where scripts run: filter while typing, keys, times of this place.
"use strict";

const input = document.querySelector("input[type=search]");
const summary = document.getElementById("summary");
const rows = [...document.querySelectorAll("tbody tr:not(.parent)")];
const names = rows.map((row) => row.querySelector("a").textContent.toLowerCase());
const sentence = summary.textContent;
const isWhole = !document.querySelector("nav.pages") && !input.value;

function filter() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  rows.forEach((row, index) => {
    row.hidden = !words.every((word) => names[index].includes(word));
    shown += row.hidden ? 0 : 1;
  });
  summary.textContent = words.length ? `${shown} of ${rows.length} shown` : sentence;
}

function visibleLinks() {
  return [...document.querySelectorAll("tbody tr:not([hidden]) a")];
}

function move(step) {
  const links = visibleLinks();
  const at = links.indexOf(document.activeElement);
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step;
  if (next < 0) input.focus();
  else links[Math.min(next, links.length - 1)]?.focus();
}

if (isWhole) {
  input.addEventListener("input", filter);
  input.form.addEventListener("submit", (event) => {
    event.preventDefault();
    move(1);
  });
  filter();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target === input;
  if (event.key === "/" && !isTyping) input.focus();
  else if (event.key === "ArrowDown") move(1);
  else if (event.key === "ArrowUp" && !isTyping) move(-1);
  else if (event.key === "Backspace" && !isTyping) document.querySelector("a.up")?.click();
  else if (event.key === "Escape" && isTyping) {
    input.value = "";
    if (isWhole) filter();
    else input.form.submit();
    input.blur();
  } else return;
  event.preventDefault();
});

const two = (number) => String(number).padStart(2, "0");
for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.dateTime);
  time.textContent =
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ` +
    `${two(at.getHours())}:${two(at.getMinutes())}`;
}
const title = document.querySelector("th.time a");
if (title) title.textContent = "Modified";
