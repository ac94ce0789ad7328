// The photo as a relief that turns: a mesh over the depth, torn at edges as glb's is.
import { metres, relative } from "./depth.js";

const MOST = 448; // points across or down
const TEXTURE = 2048; // pixels
const STEEPEST = Math.tan((85 * Math.PI) / 180);
const FAR = 0.3; // inverse distance of what is far over that of what is near, without metres
const canvas = document.getElementById("space");
const said = document.getElementById("said");
const facts = JSON.parse(canvas.dataset.facts);
const view = { yaw: 0, pitch: 0, zoom: 1, height: 1 };

const VERTEX = `#version 300 es
in vec3 ray; in vec2 spot; out vec2 place;
uniform float height, middle; uniform mat4 turn;
void main() {
  float z = exp(middle + (ray.z - middle) * height);
  place = spot;
  gl_Position = turn * vec4(ray.x * z, -ray.y * z, -z, 1.0);
}`;
const FRAGMENT = `#version 300 es
precision mediump float; in vec2 place; out vec4 colour; uniform sampler2D photo;
void main() { colour = vec4(texture(photo, place).rgb, 1.0); }`;

// Distance of each point: metres, or a guess of which only the shape can be believed.
async function distances() {
  const depth = await relative(facts, MOST);
  const far = await metres(facts, depth, MOST);
  const grid = far || depth;
  if (!grid) return null;
  const step = Math.ceil(Math.max(grid.width, grid.height) / MOST);
  const [across, down] = [Math.ceil(grid.width / step), Math.ceil(grid.height / step)];
  const [low, high] = far ? [0, 1] : ends(grid);
  const values = new Float32Array(across * down);
  for (let row = 0; row < down; row += 1) {
    for (let column = 0; column < across; column += 1) {
      const value = grid.values[row * step * grid.width + column * step];
      const near = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0;
      values[row * across + column] = far ? value : 1 / (FAR + (1 - FAR) * near);
    }
  }
  return { values, across, down };
}

function ends(grid) {
  const known = facts.percentiles;
  const [low, high] = grid.ends();
  return known ? [known["2"], Math.max(known["98"], known["2"] + (high - low) / 10)] : [low, high];
}

function mesh({ values, across, down }) {
  const angle = ((facts.space?.fov ?? 60) * Math.PI) / 180;
  const focal = Math.max(across, down) / 2 / Math.tan(angle / 2);
  const vertices = new Float32Array(5 * across * down);
  const logs = [];
  for (let row = 0; row < down; row += 1) {
    for (let column = 0; column < across; column += 1) {
      const index = row * across + column;
      const far = Math.log(values[index]);
      if (Number.isFinite(far)) logs.push(far);
      vertices.set([
        (column + 0.5 - across / 2) / focal, (row + 0.5 - down / 2) / focal, Number.isFinite(far) ? far : 0,
        (column + 0.5) / across, (row + 0.5) / down,
      ], 5 * index);
    }
  }
  const triangles = [];
  const most = STEEPEST / focal;
  const whole = (a, b, c) => {
    const [x, y, z] = [values[a], values[b], values[c]];
    const nearest = Math.min(x, y, z);
    if (Math.max(x, y, z) - nearest <= most * nearest) triangles.push(a, b, c);
  };
  for (let row = 0; row + 1 < down; row += 1) {
    for (let column = 0; column + 1 < across; column += 1) {
      const a = row * across + column;
      whole(a, a + across, a + 1);
      whole(a + 1, a + across, a + across + 1);
    }
  }
  logs.sort((a, b) => a - b);
  return { vertices, triangles: new Uint32Array(triangles), middle: logs[logs.length >> 1] ?? 0, angle };
}

async function picture() {
  const address = facts.photo ? `original?name=${facts.key}&show` : `result?name=${facts.key}&format=heatmap&show`;
  const image = new Image();
  image.src = address;
  await image.decode();
  // By way of a canvas: upright, and no larger than every graphics card takes.
  const scale = Math.min(1, TEXTURE / Math.max(image.naturalWidth, image.naturalHeight));
  const flat = document.createElement("canvas");
  flat.width = Math.max(1, Math.round(image.naturalWidth * scale));
  flat.height = Math.max(1, Math.round(image.naturalHeight * scale));
  flat.getContext("2d").drawImage(image, 0, 0, flat.width, flat.height);
  return flat;
}

function program(gl) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.bindAttribLocation(made, 0, "ray");
  gl.bindAttribLocation(made, 1, "spot");
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  return made;
}

// Column by column, as WebGL takes them.
function times(a, b) {
  const out = new Float32Array(16);
  for (let c = 0; c < 4; c += 1) {
    for (let r = 0; r < 4; r += 1) for (let k = 0; k < 4; k += 1) out[4 * c + r] += a[4 * k + r] * b[4 * c + k];
  }
  return out;
}

// Around the middle of what is seen, from where the camera stood.
function turned(middle, angle, shape, aspect) {
  const [cy, sy, cp, sp] = [Math.cos(view.yaw), Math.sin(view.yaw), Math.cos(view.pitch), Math.sin(view.pitch)];
  const away = Math.exp(middle);
  const spin = times([1, 0, 0, 0, 0, cp, sp, 0, 0, -sp, cp, 0, 0, 0, 0, 1], [cy, 0, -sy, 0, 0, 1, 0, 0, sy, 0, cy, 0, 0, 0, 0, 1]);
  const centred = times(spin, [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, away, 1]);
  const seen = times([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, -away / view.zoom, 1], centred);
  // The whole photo fits, whatever the shape of the canvas.
  const half = Math.tan(angle / 2) * 1.02;
  const [wide, high] = [half * Math.min(1, shape), half * Math.min(1, 1 / shape)];
  const f = 1 / Math.max(high, wide / aspect);
  const [near, far] = [away / 100, away * 100];
  const lens = [f / aspect, 0, 0, 0, 0, f, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, (2 * far * near) / (near - far), 0];
  return times(lens, seen);
}

async function start() {
  const gl = canvas.getContext("webgl2", { antialias: true });
  if (!gl) {
    said.textContent = canvas.dataset.noWebgl;
    return;
  }
  const found = await distances();
  if (!found) {
    said.textContent = canvas.dataset.none;
    return;
  }
  const { vertices, triangles, middle, angle } = mesh(found);
  const made = program(gl);
  gl.useProgram(made);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, vertices, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 3, gl.FLOAT, false, 20, 0);
  gl.enableVertexAttribArray(1);
  gl.vertexAttribPointer(1, 2, gl.FLOAT, false, 20, 12);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, await picture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  gl.generateMipmap(gl.TEXTURE_2D);
  gl.enable(gl.DEPTH_TEST);
  gl.clearColor(0.05, 0.04, 0.07, 1);
  const where = (name) => gl.getUniformLocation(made, name);
  const shape = found.across / found.down;

  const draw = () => {
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.uniform1f(where("height"), view.height);
    gl.uniform1f(where("middle"), middle);
    gl.uniformMatrix4fv(where("turn"), false, turned(middle, angle, shape, canvas.width / canvas.height));
    gl.drawElements(gl.TRIANGLES, triangles.length, gl.UNSIGNED_INT, 0);
  };
  let asked = false;
  const redraw = () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
      canvas.dataset.frame = Number(canvas.dataset.frame || 0) + 1;
    });
  };
  steer(redraw);
  new ResizeObserver(redraw).observe(canvas);
  redraw();
  said.textContent = "";
  canvas.dataset.ready = "yes";
}

function steer(redraw) {
  const fingers = new Map();
  const turn = (yaw, pitch) => {
    view.yaw = Math.max(-1.3, Math.min(1.3, view.yaw + yaw));
    view.pitch = Math.max(-1.3, Math.min(1.3, view.pitch + pitch));
    redraw();
  };
  const zoom = (factor) => {
    view.zoom = Math.max(0.3, Math.min(8, view.zoom * factor));
    redraw();
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.x - b.x, a.y - b.y) || 1;
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  };
  canvas.onpointermove = (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) zoom(spread() / before);
    else turn((event.clientX - last.x) / 250, (event.clientY - last.y) / 250);
  };
  canvas.onpointerup = (event) => fingers.delete(event.pointerId);
  canvas.onpointercancel = canvas.onpointerup;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY / 600));
  }, { passive: false });
  canvas.onkeydown = (event) => {
    const moves = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (moves[event.key]) turn(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") zoom(1.2);
    else if (event.key === "-") zoom(1 / 1.2);
    else return;
    event.preventDefault();
  };
  document.getElementById("height").oninput = (event) => {
    view.height = event.target.value / 100;
    redraw();
  };
}

start().catch((error) => {
  said.textContent = `${canvas.dataset.none} (${error.message})`;
  canvas.dataset.ready = `no: ${error.message}`;
});
