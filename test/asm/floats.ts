/** What float instructions mean, on numbers; results are still to be rounded to the width. */
export type FloatOperation = (a: number, b: number) => number;

function roundToEven(value: number): number {
  if (!Number.isFinite(value) || Number.isInteger(value)) return value;
  const down = Math.floor(value);
  const half = value - down === 0.5;
  const rounded = half ? (down % 2 === 0 ? down : down + 1) : Math.round(value);
  return rounded === 0 ? (value < 0 ? -0 : 0) : rounded;
}

function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}

/** Operations whose result is a float. */
export const FLOAT_OPERATIONS: Readonly<Record<string, FloatOperation>> = {
  abs: Math.abs,
  neg: (a) => -a,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: roundToEven,
  sqrt: Math.sqrt,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  pmin: (a, b) => (b < a ? b : a),
  pmax: (a, b) => (a < b ? b : a),
  copysign: (a, b) => (isNegative(a) === isNegative(b) ? a : -a),
};

/** Operations whose result is true or false. */
export const FLOAT_COMPARISONS: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
};

/** Numbers where floats go wrong; all of them are exact in binary32. */
export const FLOAT_EDGES = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  0.75,
  -7.25,
  16777215,
  NaN,
  Infinity,
  -Infinity,
  2 ** 31,
  -(2 ** 31),
  2 ** 32,
  2 ** 63,
  -(2 ** 63),
  2 ** 64,
  2147483520,
  4294967040,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  Math.fround(3.4028234663852886e38),
  Math.fround(0.1),
];
