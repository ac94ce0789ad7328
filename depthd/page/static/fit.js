// Scale and shift from reference points, in the browser: the method of depthd/metres/agreement.py
// and fit.py, where each step has its reason. The tests hold the numbers of both together.
const LEAST = 3;
const CUT = 3;
const TYPICAL_RATIO = 0.3;
const RATIO_DEVIATION = 0.2;
const LEAST_ERROR = 0.05;
const BISQUARE = 3.5;
const VAGUE = 0.8;
const MOST_PAIRS = 1000;
const ROUNDS = 8;
const STILL = 0.01;
export const LIMIT = 0.4;
const TAPE = 0.01;
const NETWORK_ERROR = 0.1;
const NEAR_ERROR = 0.5;
const SMOOTH = 2;
const LEAST_SMOOTH = 5;
const SMALL = 4;
const LENGTH = 0.3;
const RATIO_EQUATION = [-TYPICAL_RATIO, 1 - TYPICAL_RATIO];

// Why there are no metres: `key` names the sentence.
export class Undetermined extends Error {
  constructor(key, fields = {}) {
    super(key);
    Object.assign(this, { key, fields });
  }
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const mean = (numbers) => sum(numbers) / numbers.length;
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// place: [x, y] in units of the photo's longer side; depth and metres there; low and high: depth of
// what is far and near in the photo.
export function fit({ place, depth, metres, low, high }) {
  const count = metres.length;
  if (count < LEAST) throw new Undetermined("fit_few", { least: LEAST });
  if (!(high > low)) throw new Undetermined("fit_flat");
  const inverse = metres.map((z) => 1 / z);
  const unit = median(inverse);
  const precision = inverse.map((q) => {
    const tape = TAPE * q * (1 + q);
    return 1 / Math.sqrt(1 + ((NEAR_ERROR * q) / unit) ** 2 + (tape / (NETWORK_ERROR * unit)) ** 2);
  });
  const scaled = depth.map((d) => (d - low) / (high - low));
  const problem = { place, depth: scaled, inverse, precision, unit };
  const [line, used] = agree(problem);
  const kept = only(problem, used);
  const solutions = [solve(kept, line, 0)];
  if (kept.depth.length >= LEAST_SMOOTH) solutions.push(solve(kept, line, SMOOTH));
  const off = (solution) => mean(solution.leftOut.map((x, i) => Math.abs(x * kept.precision[i])));
  const best = solutions.length > 1 && off(solutions[1]) < off(solutions[0]) ? solutions[1] : solutions[0];
  if (best.line.scale <= 0) throw new Undetermined("fit_wrong");
  return judge(metres, problem, used, best, low, high);
}

function only(problem, used) {
  const pick = (values) => values.filter((_, i) => used[i]);
  const { place, depth, inverse, precision, unit } = problem;
  return { place: pick(place), depth: pick(depth), inverse: pick(inverse), precision: pick(precision), unit };
}

const at = (line, d) => line.scale * d + line.shift;
const ratioWeight = (line) => 1 / (RATIO_DEVIATION * Math.max(line.scale + line.shift, 1e-9));

function agree(problem) {
  const line = refine(problem, mostAgreed(problem));
  const used = agreeing(problem, line);
  demand(problem, line, used);
  return [line, used];
}

function mostAgreed({ depth, inverse, precision, unit }) {
  const count = depth.length;
  let pairs = [];
  for (let i = 0; i < count; i += 1) for (let j = i + 1; j < count; j += 1) pairs.push([i, j]);
  if (pairs.length > MOST_PAIRS) {
    const last = pairs.length - 1;
    const all = pairs;
    pairs = Array.from({ length: MOST_PAIRS }, (_, k) => all[Math.trunc((k * last) / (MOST_PAIRS - 1))]);
  }
  const lines = pairs
    .filter(([i, j]) => Math.abs(depth[j] - depth[i]) > 1e-3)
    .map(([i, j]) => {
      const scale = (inverse[j] - inverse[i]) / (depth[j] - depth[i]);
      return { scale, shift: inverse[i] - scale * depth[i] };
    })
    .filter(({ scale }) => scale > 0);
  if (!lines.length) throw new Undetermined("fit_wrong");
  const offs = lines.map((line) => depth.map((d, i) => Math.abs(at(line, d) - inverse[i]) * precision[i]));
  const majority = Math.max(Math.ceil((3 * count) / 5), LEAST);
  const nearest = (off) => mean([...off].sort((a, b) => a - b).slice(0, majority));
  const deviation = Math.max(1.5 * Math.min(...offs.map(nearest)), LEAST_ERROR * unit);
  let [chosen, least] = [0, Infinity];
  lines.forEach((line, k) => {
    const ratio = line.shift / Math.max(line.scale + line.shift, 1e-9);
    const oddness = ((ratio - TYPICAL_RATIO) / RATIO_DEVIATION) ** 2;
    const cost = sum(offs[k].map((x) => Math.min((x / (2.5 * deviation)) ** 2, 1))) + 0.1 * Math.min(oddness, 30);
    if (cost < least) [chosen, least] = [k, cost];
  });
  return { ...lines[chosen], deviation };
}

function refine({ depth, inverse, precision, unit }, first) {
  let line = first;
  let counted = depth.map(() => true);
  const throws = depth.length > LEAST;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = line;
    const off = depth.map((d, i) => (at(before, d) - inverse[i]) * precision[i]);
    const sizes = off.filter((_, i) => counted[i]);
    const raised = 1.4826 * (1 + 2 / Math.max(sizes.length - 2, 2));
    const deviation = Math.max(raised * median(sizes.map(Math.abs)), LEAST_ERROR * unit);
    let weight = off.map((x) => Math.max(1 - (x / (BISQUARE * deviation)) ** 2, 0));
    if (throws && weight.filter((w) => w > 0).length >= LEAST) counted = weight.map((w) => w > 0);
    else weight = counted.map(Number);
    const [r0, r1] = RATIO_EQUATION.map((x) => x * ratioWeight(before));
    let [a, b, c, p, q] = [r0 * r0, r0 * r1, r1 * r1, 0, 0];
    depth.forEach((d, i) => {
      const row = (weight[i] * precision[i]) / deviation;
      const [x, y, z] = [d * row, row, inverse[i] * row];
      a += x * x;
      b += x * y;
      c += y * y;
      p += x * z;
      q += y * z;
    });
    const determinant = a * c - b * b;
    if (determinant <= 1e-12 * a * c) throw new Undetermined("fit_alike");
    line = { scale: (c * p - b * q) / determinant, shift: (a * q - b * p) / determinant, deviation };
    const moved = Math.max(Math.abs(line.scale - before.scale), Math.abs(line.shift - before.shift));
    if (moved < STILL * deviation) break;
  }
  return line;
}

function agreeing({ depth, inverse, precision }, line) {
  if (depth.length === LEAST) return depth.map(() => true);
  return depth.map((d, i) => Math.abs((at(line, d) - inverse[i]) * precision[i]) < CUT * line.deviation);
}

function demand({ depth, precision }, line, used) {
  const count = used.length;
  const agreed = used.filter(Boolean).length;
  if (agreed < LEAST || 2 * agreed <= count) throw new Undetermined("fit_agree", { used: agreed, points: count });
  if (line.scale <= 0) throw new Undetermined("fit_wrong");
  const weight = precision.filter((_, i) => used[i]).map((x) => (x / line.deviation) ** 2);
  const some = depth.filter((_, i) => used[i]);
  const total = sum(weight);
  const middle = sum(some.map((d, i) => d * weight[i])) / total;
  const information = Math.max(sum(some.map((d, i) => (d - middle) ** 2 * weight[i])), 1e-30);
  for (const end of [0, 1]) {
    const deviation = Math.sqrt(1 / total + (end - middle) ** 2 / information);
    if (deviation > VAGUE * at(line, end)) throw new Undetermined("fit_alike");
  }
}

const covariance = ([x, y], [u, v]) => 1 / (1 + ((x - u) ** 2 + (y - v) ** 2) / (2 * LENGTH ** 2));

function solve(problem, line, smooth) {
  const { place, depth, inverse: values, precision } = problem;
  const count = depth.length;
  const size = count + 3;
  const matrix = Array.from({ length: size }, () => new Array(size).fill(0));
  const spread = (smooth * line.deviation) ** 2;
  for (let i = 0; i < count; i += 1) {
    if (smooth) for (let j = 0; j < count; j += 1) matrix[i][j] = spread * covariance(place[i], place[j]);
    matrix[i][i] += (line.deviation / precision[i]) ** 2;
  }
  matrix[count][count] = 1;
  const trend = [...depth.map((d) => [d, 1]), RATIO_EQUATION.map((x) => x * ratioWeight(line))];
  trend.forEach((row, i) => row.forEach((x, k) => {
    matrix[i][count + 1 + k] = x;
    matrix[count + 1 + k][i] = x;
  }));
  const inverse = invert(matrix);
  const dual = inverse.map((row) => sum(values.map((x, j) => row[j] * x)));
  return {
    line: { scale: dual[count + 1], shift: dual[count + 2], deviation: line.deviation },
    centres: smooth ? place : [],
    heights: smooth ? dual.slice(0, count).map((x) => spread * x) : [],
    leftOut: dual.slice(0, count).map((x, i) => x / inverse[i][i]),
  };
}

// Gauss and Jordan, with the largest pivot of each column.
function invert(matrix) {
  const size = matrix.length;
  const work = matrix.map((row, i) => [...row, ...row.map((_, j) => Number(i === j))]);
  for (let k = 0; k < size; k += 1) {
    let pivot = k;
    for (let i = k + 1; i < size; i += 1) if (Math.abs(work[i][k]) > Math.abs(work[pivot][k])) pivot = i;
    [work[k], work[pivot]] = [work[pivot], work[k]];
    const by = work[k][k];
    if (by === 0) throw new Undetermined("fit_alike");
    work[k] = work[k].map((x) => x / by);
    for (let i = 0; i < size; i += 1) {
      const factor = work[i][k];
      if (i !== k && factor !== 0) for (let j = 0; j < 2 * size; j += 1) work[i][j] -= factor * work[k][j];
    }
  }
  return work.map((row) => row.slice(size));
}

function judge(metres, problem, used, best, low, high) {
  const { place, depth, inverse, precision } = problem;
  let next = 0;
  const predicted = depth.map((d, i) => {
    if (used[i]) {
      next += 1;
      return inverse[i] - best.leftOut[next - 1];
    }
    return at(best.line, d) + sum(best.heights.map((h, k) => h * covariance(place[i], best.centres[k])));
  });
  const seen = predicted.map((q, i) => 1 / Math.max(q, 1 / (100 * metres[i])));
  const off = seen.map((z, i) => Math.min(Math.abs(z / metres[i] - 1), 1));
  const counted = off.map((x, i) => {
    if (used[i]) return x;
    const cut = (CUT * best.line.deviation) / precision[i];
    return Math.min(cut / Math.max(inverse[i], predicted[i]), 1);
  });
  const agreed = used.filter(Boolean).length;
  const error = mean(counted) * (1 + SMALL / agreed);
  if (error > LIMIT) {
    throw new Undetermined("fit_inexact", { error: Math.round(100 * error), limit: Math.round(100 * LIMIT) });
  }
  const scale = best.line.scale / (high - low);
  return {
    scale,
    shift: best.line.shift - scale * low,
    used,
    predicted: seen,
    leaveOneOut: mean(off.filter((_, i) => used[i])),
    error,
  };
}
