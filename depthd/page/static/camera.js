// Reference points of a camera: clicked into a photo, their fit at once, then saved.
import { relative } from "./depth.js";
import { fit } from "./fit.js";
import { places } from "./numbers.js";

const root = document.getElementById("camera");
const words = root.dataset;
const facts = JSON.parse(words.facts);
const known = JSON.parse(words.points);
const by = (id) => document.getElementById(id);
const [pick, photo, cross, said, told, rows] = [by("pick"), by("photo"), by("cross"), by("said"), by("fit"), by("points").tBodies[0]];
const size = [facts.width, facts.height];
let depth = null;
let place = [0.5, 0.5]; // of the mark that keys move
// x, y in pixels of the upright photo; metres as typed.
const points = known.points.map(([x, y, metres]) => {
  const [across, down] = known.size || size;
  return { x: (x / across) * size[0], y: (y / down) * size[1], metres: String(metres) };
});

const percent = (share) => (Math.round(100 * share) > 0 ? "+" : "") + (Math.round(100 * share) || 0);
const number = (point) => Number(point.metres.replace(",", "."));
const isGood = (point) => number(point) > 0 && number(point) <= 100000;
const fill = (text, fields) => text.replace(/\{(\w+)\}/g, (_, name) => fields[name]);
const word = (key) => words[key.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())];

function add(share) {
  const inside = share.map((x) => Math.min(1, Math.max(0, x)));
  points.push({ x: inside[0] * size[0], y: inside[1] * size[1], metres: "" });
  show();
  rows.lastElementChild.querySelector("input").focus();
}

pick.addEventListener("click", (event) => {
  const box = pick.getBoundingClientRect();
  add([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
});

pick.addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    add(place);
    return;
  }
  const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!move) return;
  event.preventDefault();
  const far = event.shiftKey ? 0.05 : 0.005;
  place = place.map((share, axis) => Math.min(1, Math.max(0, share + far * move[axis])));
  cross.hidden = false;
  cross.style.left = `${100 * place[0]}%`;
  cross.style.top = `${100 * place[1]}%`;
});

// Rows and dots; what the fit says of them comes with `judge`.
function show() {
  for (const dot of pick.querySelectorAll(".dot")) dot.remove();
  rows.replaceChildren(...points.map((point, index) => {
    const dot = document.createElement("span");
    dot.className = "dot unknown";
    dot.textContent = index + 1;
    dot.style.left = `${(100 * point.x) / size[0]}%`;
    dot.style.top = `${(100 * point.y) / size[1]}%`;
    pick.append(dot);
    const row = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = `${index + 1}: ${Math.round(point.x)}, ${Math.round(point.y)}`;
    const input = document.createElement("input");
    input.inputMode = "decimal";
    input.size = 7;
    input.value = point.metres;
    input.setAttribute("aria-label", fill(words.metresOf, { number: index + 1 }));
    input.oninput = () => {
      point.metres = input.value.trim();
      judge();
    };
    const cell = (content) => {
      const made = document.createElement("td");
      made.append(content);
      return made;
    };
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "quiet";
    remove.textContent = words.remove;
    remove.setAttribute("aria-label", fill(words.removePoint, { number: index + 1 }));
    remove.onclick = () => {
      points.splice(index, 1);
      show();
      pick.focus();
    };
    row.append(head, cell(input), cell(""), cell(""), cell(remove));
    return row;
  }));
  judge();
}

function judge() {
  const good = points.filter(isGood);
  link(good);
  if (!depth) return;
  const longer = Math.max(...size);
  const shares = good.map(({ x, y }) => [x / size[0], y / size[1]]);
  let result = null;
  try {
    result = fit({
      place: good.map(({ x, y }) => [x / longer, y / longer]),
      depth: shares.map(([x, y]) => depth.between(x, y)),
      metres: good.map(number),
      low: facts.percentiles["2"],
      high: facts.percentiles["98"],
    });
    const fields = { used: result.used.filter(Boolean).length, points: good.length, error: Math.round(100 * result.error) };
    told.textContent = fill(words.fitGood, fields) + (depth.exact ? "" : ` (${words.approximate})`);
    told.dataset.scale = result.scale;
    told.dataset.shift = result.shift;
  } catch (trouble) {
    told.textContent = trouble.key ? fill(word(trouble.key), trouble.fields) : String(trouble);
    delete told.dataset.scale;
  }
  const dots = pick.querySelectorAll(".dot");
  points.forEach((point, index) => {
    const [, , seen, off] = rows.children[index].children;
    const place = good.indexOf(point);
    const isKnown = result !== null && place >= 0;
    const isUsed = isKnown && result.used[place];
    dots[index].className = `dot ${isUsed ? "" : isKnown ? "out" : "unknown"}`;
    seen.textContent = isKnown ? places(result.predicted[place], 2) : "";
    off.textContent = isKnown ? `${percent(result.predicted[place] / number(point) - 1)} %` : "";
    if (isKnown && !isUsed) off.textContent += `, ${words.thrownOut}`;
  });
}

let address = "";
function link(good) {
  const lines = good.map((p) => [p.x.toFixed(2), p.y.toFixed(2), number(p), ...size].join(","));
  const text = `${["x,y,metres,width,height", ...lines].join("\n")}\n`;
  if (address) URL.revokeObjectURL(address);
  address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  by("csv").href = address;
}

const save = by("save");
if (save) {
  save.onclick = async () => {
    save.disabled = true;
    const sent = { points: points.filter(isGood).map((p) => [p.x, p.y, number(p)]), size };
    try {
      const answer = await fetch(`points?folder=${words.folder}`, { method: "POST", body: JSON.stringify(sent) });
      said.textContent = (await answer.json()).text;
      said.className = answer.ok ? "" : "bad";
    } catch (trouble) {
      said.textContent = String(trouble);
      said.className = "bad";
    }
    save.disabled = false;
  };
}

async function start() {
  if (photo) await photo.decode().catch(() => {});
  depth = await relative(facts).catch(() => null);
  if (!depth || !facts.percentiles) {
    depth = null;
    told.textContent = words.noDepth;
  }
  show();
  root.dataset.ready = "yes";
}

start();
