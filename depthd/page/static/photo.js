// One photo: side by side or over each other, values under the pointer, colours and range.
import { metres, palettes, relative } from "./depth.js";
import { digits, places } from "./numbers.js";

const viewer = document.getElementById("viewer");
const facts = JSON.parse(viewer.dataset.facts);
const words = viewer.dataset;
const by = (id) => document.getElementById(id);
const [pair, frame, map, cross, value] = ["pair", "map-frame", "map", "cross", "value"].map(by);
const [colours, darkest, brightest] = ["colours", "darkest", "brightest"].map(by);
let shown = null; // what is drawn
let depth = null;
let far = null; // metres
let tables = null;
let place = [0.5, 0.5];

// Next and previous, unless a key means something else where the focus is.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, [role=application]")) return;
  const target = { ArrowLeft: "older", ArrowRight: "newer" }[event.key];
  if (target && by(target)) by(target).click();
});

for (const radio of document.querySelectorAll("[name=mode]")) {
  radio.onchange = () => {
    pair.dataset.mode = radio.value;
    by("share-label").hidden = radio.value !== "over";
  };
}
by("share").oninput = (event) => pair.style.setProperty("--cut", `${100 - event.target.value}%`);

const number = (x) => (Math.abs(x) >= 100 ? places(x, 1) : digits(x, 4));
const inMetres = (x) => `${places(x, x < 1 ? 3 : 2)} m`;

// Metres are drawn in even steps of the distance's logarithm, as the heatmap is.
const scaled = (x) => (shown === far ? -Math.log(x) : x);
const unscaled = (x) => (shown === far ? Math.exp(-x) : x);

function range() {
  const [low, high] = shown.limits;
  const at = (slider) => low + (slider.value / 1000) * (high - low);
  return [at(darkest), at(brightest)];
}

function draw() {
  const table = tables[colours.value];
  const [low, high] = range();
  const factor = high !== low ? 255 / (high - low) : 0;
  const context = map.getContext("2d");
  const picture = context.createImageData(shown.width, shown.height);
  const { data } = picture;
  for (let i = 0; i < shown.values.length; i += 1) {
    let index = (scaled(shown.values[i]) - low) * factor;
    index = index > 255 ? 255 : index > 0 ? Math.floor(index) : 0;
    data[4 * i] = table[3 * index];
    data[4 * i + 1] = table[3 * index + 1];
    data[4 * i + 2] = table[3 * index + 2];
    data[4 * i + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
  map.hidden = false;
  const bar = by("bar").getContext("2d");
  const ramp = bar.createImageData(256, 1);
  for (let i = 0; i < 256; i += 1) ramp.data.set([...table.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  bar.putImageData(ramp, 0, 0);
  const say = shown === far ? inMetres : number;
  by("low").textContent = say(unscaled(low));
  by("high").textContent = say(unscaled(high));
}

function tell() {
  const parts = [];
  const grid = shown;
  const { x, y } = grid.at(...place);
  if (far) {
    const here = far.at(...place).value;
    parts.push(Number.isFinite(here) ? inMetres(here) : `${words.metres}: ${words.unknown}`);
  }
  if (depth) parts.push(`${number(depth.at(...place).value)} ${words.relative}`);
  if (!grid.exact) parts.push(words.approximate);
  value.textContent = `${parts.join("; ")} (${x}, ${y})`;
  value.dataset.x = x;
  value.dataset.y = y;
  value.dataset.raw = grid.at(...place).value;
  cross.hidden = false;
  cross.style.left = `${100 * place[0]}%`;
  cross.style.top = `${100 * place[1]}%`;
}

function point(event) {
  const box = event.currentTarget.getBoundingClientRect();
  place = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  tell();
}

function step(event) {
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!move) return;
  event.preventDefault();
  const far = event.shiftKey ? 10 : 1;
  place = place.map((share, axis) => {
    const pixel = 1 / [shown.width, shown.height][axis];
    return Math.min(1 - pixel / 2, Math.max(pixel / 2, share + far * move[axis] * pixel));
  });
  tell();
}

function reset() {
  colours.value = "inferno";
  const [low, high] = shown.limits;
  const [first, last] = shown.start;
  const at = (x) => (high === low ? 0 : Math.round((1000 * (x - low)) / (high - low)));
  darkest.value = at(first);
  brightest.value = at(last);
  draw();
}

async function start() {
  tables = await palettes();
  depth = await relative(facts);
  far = await metres(facts, depth);
  shown = far || depth;
  if (!shown) throw new Error("none");
  const limits = shown.ends().map(scaled);
  shown.limits = [Math.min(...limits), Math.max(...limits)];
  shown.start = facts.shown ? facts.shown.map(scaled) : shown.limits;
  shown.limits = [Math.min(...shown.limits, ...shown.start), Math.max(...shown.limits, ...shown.start)];
  map.width = shown.width;
  map.height = shown.height;
  reset();
  for (const side of [frame, by("photo")]) {
    if (!side) continue;
    side.addEventListener("pointermove", point);
    side.addEventListener("pointerdown", point);
  }
  frame.addEventListener("keydown", step);
  for (const input of [colours, darkest, brightest]) input.oninput = draw;
  by("reset").onclick = reset;
  value.textContent = "–";
  viewer.dataset.ready = "yes";
}

start().catch((error) => {
  value.textContent = words.none;
  by("play").disabled = true;
  viewer.dataset.ready = `no: ${error.message}`;
});
