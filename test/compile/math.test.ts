import { describe, expect, test } from 'vitest';
import {
  expandBinary,
  expandUnary,
  type FloatBinaryFn,
  type FloatUnaryFn,
} from '../../src/compile/lower/math/index.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { add, laneAtom, mul } from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { type Value, WASM_KERNELS } from '../../src/ir/kernel/types.ts';

const LANES: number = WASM_KERNELS.lanes;
const LANE = laneAtom(LANES);

type Fn = FloatUnaryFn | FloatBinaryFn;

function expand(b: KernelBuilder, fn: Fn, x: Value[]): Value {
  if (fn === 'pow' || fn === 'atan2') return expandBinary(b, fn, x[0], x[1]);
  return expandUnary(b, fn, x[0]);
}

/** `fn` of every element, by a kernel that takes `lanes` of them at a time. */
function run(
  fn: Fn,
  inputs: readonly Float32Array[],
  lanes = LANES,
  fusedFma = false,
): Float32Array {
  const turns = Math.ceil(inputs[0].length / lanes);
  const size = turns * lanes;
  const b = new KernelBuilder(WASM_KERNELS);
  const ins = inputs.map((_, k) => b.buffer(`x${k}`, 'f32', size, 'in'));
  const out = b.buffer('y', 'f32', size, 'out');
  b.loop(turns, 'thread', [], (i) => {
    const at = lanes === 1 ? i : add(mul(i, LANES), LANE);
    const y = expand(
      b,
      fn,
      ins.map((buffer) => b.load(buffer, at)),
    );
    b.store(out, at, y);
  });
  const padded = inputs.map((input) => {
    const array = new Float32Array(size);
    array.set(input);
    return array;
  });
  const result = new Float32Array(size);
  interpretKernel(b.build(fn), { buffers: [...padded, result], vars: [] }, { fusedFma });
  return result.subarray(0, inputs[0].length);
}

const one = (fn: Fn, ...x: number[]): number =>
  run(
    fn,
    x.map((v) => Float32Array.of(v)),
    1,
  )[0];

/** Distance in units of the last place of the f32 nearest to the true value. */
function ulps(got: number, want: number): number {
  const nearest = Math.fround(want);
  if (Object.is(got, nearest)) return Math.abs(got - want) > 0 ? 0.5 : 0;
  if (Number.isNaN(got) || Number.isNaN(nearest)) return Number.POSITIVE_INFINITY;
  if (got === nearest) return Number.POSITIVE_INFINITY; // zeros of unlike sign
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(want))), -126);
  // The place of infinity is where the next number would be.
  const place = (v: number) => (Math.abs(v) === Infinity ? Math.sign(v) * 2 ** 128 : v);
  return Math.abs(place(got) - want) / 2 ** (Math.min(exponent, 127) - 23);
}

/** Sum of the series with positive terms only: about 1e-15 of the result. */
function erf(x: number): number {
  if (Number.isNaN(x) || x === 0) return x;
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

const { exp, expm1, log, log2, log1p, sin, cos, tan, atan, tanh, pow, atan2 } = Math;

/** The true value; how far from it we promise to be; where the interesting arguments lie. */
const UNARY: {
  readonly [F in FloatUnaryFn]: [
    of: (x: number) => number,
    bound: number,
    low: number,
    high: number,
  ];
} = {
  exp: [exp, 1, -105, 90],
  exp2: [(x) => pow(2, x), 1.2, -151, 129],
  expm1: [expm1, 1.7, -20, 90],
  log: [log, 1, 0, 10],
  log2: [log2, 1.4, 0, 10],
  log1p: [log1p, 1.6, -1, 4],
  sin: [sin, 1.6, -1e3, 1e3],
  cos: [cos, 1.6, -1e3, 1e3],
  tan: [tan, 1.95, -1e3, 1e3],
  atan: [atan, 1.3, -4, 4],
  tanh: [tanh, 1.7, -9.5, 9.5],
  erf: [erf, 1.95, -4.2, 4.2],
  rsqrt: [(x) => 1 / Math.sqrt(x), 1.5, 0, 4],
  reciprocal: [(x) => 1 / x, 0.5, -4, 4],
  sign: [(x) => (Number.isNaN(x) ? x : x > 0 ? 1 : x < 0 ? -1 : 0), 0, -2, 2],
  round: [roundEven, 0, -9, 9],
};
const UNARY_FNS = Object.keys(UNARY) as FloatUnaryFn[];
/** Beyond it there are no digits of the reduced angle: NaN. */
const ANGLE_LIMIT = 3 * 2 ** 22;
const ANGLES: ReadonlySet<Fn> = new Set(['sin', 'cos', 'tan']);

function roundEven(x: number): number {
  if (!(Math.abs(x) < 2 ** 23)) return x;
  const near = Math.round(x);
  if (Math.abs(x % 1) !== 0.5) return near;
  return near % 2 === 0 ? near : near - 1 === 0 ? 0 * x : near - 1;
}

const SPECIAL = Float32Array.from(
  [
    ...[Number.NaN, Infinity, 0, 1, 2, 3, 0.5, 1.5, 2.5, 0.4999999701976776, 9.99994610111476e-41],
    ...[
      2 ** -149,
      2 ** -126,
      2 ** -126 - 2 ** -149,
      2 ** 127,
      3.4028234663852886e38,
      88,
      89,
      88.7228,
    ],
    ...[87, 103, 103.97, 104, 127, 128, 149, 150, 1e10, 8388607.5, 8388609, Math.PI, Math.PI / 2],
    ...[1e-7, 1e-4, 10, 100, 1 + 2 ** -23, 1 - 2 ** -24, 1e30, 16777215, 16777216, 2 ** 32, 17.3],
  ].flatMap((v) => [v, -v]),
);

let state = 0x9e3779b9;
function random(): number {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state >>> 0;
}
const randomBits = (n: number) => new Float32Array(Uint32Array.from({ length: n }, random).buffer);
const within = (n: number, low: number, high: number) =>
  Float32Array.from({ length: n }, () => low + ((high - low) * random()) / 2 ** 32);
/** All of f32 at a stride that is prime. */
const stride = (step: number) =>
  new Float32Array(Uint32Array.from({ length: 2 ** 32 / step }, (_, k) => k * step).buffer);
const joined = (...parts: Float32Array[]) => Float32Array.from(parts.flatMap((p) => [...p]));

interface Worst {
  ulps: number;
  at: number[];
}

function worst(inputs: Float32Array[], got: Float32Array, of: (...x: number[]) => number): Worst {
  const found: Worst = { ulps: 0, at: [] };
  for (let i = 0; i < got.length; i++) {
    const x = inputs.map((input) => input[i]);
    const distance = ulps(got[i], of(...x));
    if (distance > found.ulps) Object.assign(found, { ulps: distance, at: [...x, got[i]] });
  }
  return found;
}

describe('of one argument', () => {
  const everywhere = joined(SPECIAL, stride(41_957), randomBits(60_000));

  test.each(UNARY_FNS)('%s is near the true value everywhere', (fn) => {
    const [of, bound, low, high] = UNARY[fn];
    const all = joined(everywhere, within(60_000, low, high));
    const x = ANGLES.has(fn) ? all.filter((v) => !(Math.abs(v) > 2 ** 23)) : all;
    const found = worst([x], run(fn, [x]), of);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(bound);
    const some = x.filter((_, i) => i % 4 === 0);
    const fused = worst([some], run(fn, [some], LANES, true), of);
    expect(fused.ulps, `fused, at ${fused.at}`).toBeLessThanOrEqual(bound);
  });

  test.each(UNARY_FNS)('%s of one lane has the bits of a vector', (fn) => {
    const x = joined(SPECIAL, randomBits(2000));
    expect(run(fn, [x], 1)).toEqual(run(fn, [x]));
  });

  test.each(['sin', 'cos', 'tan'] as const)('%s reduces large angles', (fn) => {
    const x = within(100_000, 1e4, 2 ** 23);
    const found = worst([x], run(fn, [x]), UNARY[fn][0]);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(UNARY[fn][1]);
    for (const far of [ANGLE_LIMIT, 1e30, Infinity, -Infinity]) expect(one(fn, far)).toBeNaN();
  });

  // One of the nearest that a float comes to a zero of cos.
  test('an angle that almost cancels keeps its digits', () => {
    const x = 10_265_498;
    expect(ulps(one('cos', x), Math.cos(x))).toBeLessThan(1.6);
    expect(ulps(one('tan', x), Math.tan(x))).toBeLessThan(2.1);
  });

  test('odd functions keep the sign of zero', () => {
    for (const fn of ['sin', 'tan', 'atan', 'tanh', 'erf', 'expm1', 'log1p', 'round'] as const) {
      expect(one(fn, -0)).toBe(-0);
      expect(one(fn, 0)).toBe(0);
    }
    expect(one('sign', -0)).toBe(0);
    expect(one('rsqrt', -0)).toBe(-Infinity);
  });

  test('exp goes under by steps', () => {
    expect(one('exp', -100)).toBe(Math.fround(Math.exp(-100)));
    expect(one('exp', -103.9)).toBe(2 ** -149);
    expect(one('exp', -104)).toBe(0);
    expect(one('exp', 88.72283)).toBe(Math.fround(Math.exp(Math.fround(88.72283))));
    expect(one('exp', 88.72284)).toBe(Infinity);
  });

  test('powers of two are exact', () => {
    for (let n = -149; n < 128; n++) {
      expect(one('exp2', n)).toBe(2 ** n);
      expect(one('log2', 2 ** n)).toBe(n);
    }
  });

  test('tanh and erf stay within 1', () => {
    const x = within(40_000, 2, 12);
    for (const fn of ['tanh', 'erf'] as const) {
      expect(run(fn, [x]).reduce((a, b) => Math.max(a, b))).toBe(1);
    }
  });
});

describe('of two arguments', () => {
  const pairs = SPECIAL.length ** 2;
  const first = Float32Array.from({ length: pairs }, (_, i) => SPECIAL[i % SPECIAL.length]);
  const second = Float32Array.from(first, (_, i) => SPECIAL[Math.floor(i / SPECIAL.length)]);
  /** JS departs from IEEE 754 where the base is 1 or -1 and where 1 meets NaN. */
  const truePow = (x: number, y: number) => {
    if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
    return pow(x, y);
  };

  test('pow of special values', () => {
    const found = worst([first, second], run('pow', [first, second]), truePow);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(1.5);
  });

  test('pow over the range of results', () => {
    const bits = randomBits(100_000).map((v) => (Number.isNaN(v) ? 2 : v));
    const near = within(100_000, 0.9, 1.1);
    const x = joined(bits, near);
    // Exponents that bring the result anywhere between the smallest and the largest number.
    const y = x.map((v) => (((random() / 2 ** 32) * 2 - 1) * 150) / log2(Math.abs(v)));
    const whole = y.map((v, i) => (x[i] < 0 ? Math.round(v) : v));
    const found = worst([x, whole], run('pow', [x, whole]), truePow);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(1.5);
  });

  test('atan2 of special values', () => {
    const found = worst([first, second], run('atan2', [first, second]), atan2);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(1.6);
  });

  test('atan2 in all directions', () => {
    const x = joined(randomBits(40_000), within(40_000, -1, 1));
    const y = joined(randomBits(40_000), within(40_000, -1, 1));
    const found = worst([y, x], run('atan2', [y, x]), atan2);
    expect(found.ulps, `at ${found.at}`).toBeLessThanOrEqual(1.6);
  });

  test('one lane has the bits of a vector', () => {
    for (const fn of ['pow', 'atan2'] as const) {
      expect(run(fn, [first, second], 1)).toEqual(run(fn, [first, second]));
    }
  });
});

describe('the expansions', () => {
  function operations(fn: Fn): number {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.load(b.buffer('x', 'f32', LANES, 'in'), LANE);
    expand(b, fn, [x, x]);
    const free = new Set(['const', 'splat', 'load', 'bitcast']);
    return b.build(fn).body.filter((s) => !free.has(s.kind)).length;
  }

  test('stay short where loops are hot', () => {
    expect(operations('exp')).toBeLessThanOrEqual(21);
    expect(operations('tanh')).toBeLessThanOrEqual(30);
    expect(operations('log')).toBeLessThanOrEqual(30);
    expect(operations('erf')).toBeLessThanOrEqual(32);
  });

  test('say that they are for f32', () => {
    const b = new KernelBuilder(WASM_KERNELS);
    const x = b.const('f64', 2);
    expect(() => expandUnary(b, 'exp', x)).toThrow(/exp of f64/);
    expect(() => expandBinary(b, 'pow', x, x)).toThrow(/pow of f64/);
    expect(expandUnary(b, 'rsqrt', x).dtype).toBe('f64');
  });
});
