// Depth as numbers: from the array itself, else from a PNG with 16 bits, else from the heatmap.
const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
export const MOST = 1536;

// values: rows of width x height samples; full: size of the array that they are of.
export class Grid {
  constructor(values, width, height, full, exact = true) {
    Object.assign(this, { values, width, height, full, exact });
  }

  // The array's own value nearest to a place given by shares of width and height; with where it is.
  at(x, y) {
    const column = Math.min(this.width - 1, Math.max(0, Math.floor(x * this.width)));
    const row = Math.min(this.height - 1, Math.max(0, Math.floor(y * this.height)));
    const step = Math.ceil(this.full[0] / this.width);
    return { value: this.values[row * this.width + column], x: column * step, y: row * step };
  }

  // Between the values, by straight lines.
  between(x, y) {
    const place = (share, length) => Math.min(Math.max(share * length - 0.5, 0), length - 1);
    const [px, py] = [place(x, this.width), place(y, this.height)];
    const [left, top] = [Math.floor(px), Math.floor(py)];
    const [right, bottom] = [Math.min(left + 1, this.width - 1), Math.min(top + 1, this.height - 1)];
    const v = (column, row) => this.values[row * this.width + column];
    const [u, w] = [px - left, py - top];
    return (v(left, top) * (1 - u) + v(right, top) * u) * (1 - w) + (v(left, bottom) * (1 - u) + v(right, bottom) * u) * w;
  }

  // Smallest and largest finite value.
  ends() {
    let [low, high] = [Infinity, -Infinity];
    for (const value of this.values) {
      if (value < low && value > -Infinity) low = value;
      if (value > high && value < Infinity) high = value;
    }
    return [low, high];
  }
}

export async function array(key, format, most = MOST) {
  const answer = await fetch(`depth?name=${key}&format=${format}&most=${most}`);
  if (!answer.ok) throw new Error(`depth: ${answer.status}`);
  const data = await answer.arrayBuffer();
  const [fullWidth, fullHeight, width, height] = new Uint32Array(data, 0, 4);
  return new Grid(new Float32Array(data, 16), width, height, [fullWidth, fullHeight]);
}

// A grey PNG with 16 bits, or one with a palette of which the numbers are taken.
export async function png(key, format, toValue, exact = true) {
  const answer = await fetch(`result?name=${key}&format=${format}`);
  if (!answer.ok) throw new Error(`${format}: ${answer.status}`);
  const { width, height, numbers } = await decode(new Uint8Array(await answer.arrayBuffer()));
  const step = Math.max(1, Math.ceil(Math.max(width, height) / MOST));
  const [across, down] = [Math.ceil(width / step), Math.ceil(height / step)];
  const values = new Float32Array(across * down);
  for (let row = 0; row < down; row += 1) {
    for (let column = 0; column < across; column += 1) {
      values[row * across + column] = toValue(numbers[row * step * width + column * step]);
    }
  }
  return new Grid(values, across, down, [width, height], exact);
}

async function decode(bytes) {
  if (SIGNATURE.some((byte, place) => bytes[place] !== byte)) throw new Error("no PNG");
  const view = new DataView(bytes.buffer);
  const parts = [];
  let [width, height, bits] = [0, 0, 0];
  for (let place = 8; place + 12 <= bytes.length; ) {
    const length = view.getUint32(place);
    const kind = String.fromCharCode(...bytes.subarray(place + 4, place + 8));
    if (kind === "IHDR") {
      [width, height, bits] = [view.getUint32(place + 8), view.getUint32(place + 12), bytes[place + 16]];
      const plain = { 8: 3, 16: 0 }[bits] === bytes[place + 17] && bytes[place + 20] === 0;
      if (!plain || width * height > 2 ** 28) throw new Error("another kind of PNG");
    }
    if (kind === "IDAT") parts.push(bytes.subarray(place + 8, place + 8 + length));
    place += 12 + length;
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const lines = new Uint8Array(await new Response(stream).arrayBuffer());
  return { width, height, numbers: unfilter(lines, width, height, bits / 8) };
}

function unfilter(lines, width, height, size) {
  const length = width * size;
  const numbers = size === 2 ? new Uint16Array(width * height) : new Uint8Array(width * height);
  let above = new Uint8Array(length);
  for (let row = 0; row < height; row += 1) {
    const start = row * (length + 1);
    const filter = lines[start];
    const line = lines.subarray(start + 1, start + 1 + length);
    // Up is what depthd writes; bytes wrap around by themselves.
    if (filter === 2) for (let i = 0; i < length; i += 1) line[i] += above[i];
    else for (let i = 0; filter && i < length; i += 1) {
      const [a, b, c] = [i >= size ? line[i - size] : 0, above[i], i >= size ? above[i - size] : 0];
      let guess = 0;
      if (filter === 1) guess = a;
      else if (filter === 3) guess = (a + b) >> 1;
      else if (filter === 4) {
        const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
        guess = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
      }
      line[i] = (line[i] + guess) & 255;
    }
    above = line;
    for (let column = 0; column < width; column += 1) {
      numbers[row * width + column] = size === 2 ? (line[2 * column] << 8) | line[2 * column + 1] : line[column];
    }
  }
  return numbers;
}

// Relative inverse depth of a photo, as exact as there is; null where there is none.
export async function relative(facts, most = MOST) {
  if (facts.depth === "npy" || facts.depth === "pfm") return array(facts.key, facts.depth, most);
  if (facts.depth === "png16" && facts.scale !== null) {
    return png(facts.key, "png16", (number) => number * facts.scale + facts.offset);
  }
  if (facts.heatmap && facts.shown && !facts.has_metres) {
    const [low, high] = facts.shown;
    return png(facts.key, "heatmap", (index) => low + ((index + 0.5) / 256) * (high - low), false);
  }
  return null;
}

// Metres of a photo; null where there are none, or none that can be had from its files.
export async function metres(facts, depth, most = MOST) {
  if (!facts.has_metres) return null;
  if (facts.metres === "metres") return array(facts.key, "metres", most);
  if (facts.metres === "millimetres") {
    return png(facts.key, "millimetres", (number) => (number ? number / 1000 : NaN));
  }
  const { scale, shift, limit, corrected } = facts.fit;
  if (depth && scale !== null && !corrected) {
    const values = depth.values.map((value) => {
      const far = 1 / (scale * value + shift);
      return far > 0 && far <= limit ? far : NaN;
    });
    return new Grid(values, depth.width, depth.height, depth.full, depth.exact);
  }
  if (facts.heatmap && facts.shown) {
    const [far, near] = facts.shown;
    const step = Math.log(far / near) / 255;
    return png(facts.key, "heatmap", (index) => far / Math.exp((index + 0.5) * step), false);
  }
  return null;
}

let tables = null;
export async function palettes() {
  if (!tables) {
    const encoded = await (await fetch("static/palettes.json")).json();
    tables = Object.fromEntries(Object.entries(encoded).map(
      ([name, text]) => [name, Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))],
    ));
  }
  return tables;
}
