import type { NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Value } from '../../ir/kernel/types.ts';
import {
  ACTIVATION_BLOCK,
  ACTIVATION_SCHEME,
  ORIGIN_PLACE,
  originOf,
  type PackedAttributes,
  SCALE_PLACE,
  WORDS,
} from '../../ir/packed.ts';
import { codeRange } from '../../ir/quantization.ts';
import { isStatic, type Shape, sizeOf } from '../../ir/shape.ts';
import { type ExpressionLowering, splitIndex } from '../lower/expression.ts';
import { foldLanes } from '../lower/lanes.ts';
import type { CallResult, CallTemplate } from './call-template.ts';

/** 1.5 2^23, where the last bit of an f32 is worth 1. */
const COUNTING = 1.5 * 2 ** 23;
const COUNTING_BITS = 0x4b400000;

function refusal(call: NodeOf<'call'>): string | undefined {
  const [{ shape }] = call.src;
  const rank = call.arg.parameters[0].shape.length;
  if (rank !== call.shape.length - 1) return 'it has other axes';
  if (!isStatic(shape)) return 'its rows are symbolic';
  return sizeOf(shape) === 0 ? 'it is empty' : undefined;
}

/** Rounds activations to int8, a block of 32 at a time: see `ir/packed.ts` for what it writes. */
export const activationsTemplate: CallTemplate = {
  family: () => 'packed.activations',
  takesEpilogue: false,
  readsOnce: true,
  refusal,
  slower: () => undefined,
  build,
};

function build(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  [{ call, write }]: readonly CallResult[],
): void {
  const [x] = call.src;
  const { bits } = call.arg.attributes as unknown as PackedAttributes;
  const lead = x.shape.slice(0, -1);
  const blocks = (x.shape[x.shape.length - 1] as number) / ACTIVATION_BLOCK;
  const one = (row: readonly Index[], block: Index) => {
    const vectors = Array.from({ length: ACTIVATION_BLOCK / b.lanes }, (_, v) => {
      const column = add(add(mul(block, ACTIVATION_BLOCK), v * b.lanes), b.laneIndex);
      return b.splat(lowering.evaluate(x, [...row, column]));
    });
    const { words, scale, sum } = roundBlock(b, vectors, bits);
    words.forEach((word, i) => {
      const place = add(b.laneIndex, i * b.lanes);
      write([...row, block, place], word, [sub(constant(WORDS - 1), place)]);
    });
    const at = (place: number) => [...row, block, constant(place)];
    write(at(SCALE_PLACE), b.bitcast(scale, 'i32'), []);
    write(at(ORIGIN_PLACE), b.binary('mul', sum, b.const('i32', -originOf(bits))), []);
  };
  eachBlock(b, lead, blocks, one);
}

/** Threads share rows; of one row, its blocks. */
function eachBlock(
  b: KernelBuilder,
  lead: Shape,
  blocks: number,
  body: (row: readonly Index[], block: Index) => void,
): void {
  const rows = sizeOf(lead);
  if (rows === 1) b.loop(blocks, 'thread', [], (block) => body(splitIndex(ZERO, lead), block));
  else {
    b.loop(rows, 'thread', [], (row) => {
      b.loop(blocks, 'serial', [], (block) => body(splitIndex(row, lead), block));
    });
  }
}

/** Vectors of neighbours as vectors of words, their scale, and the sum of their codes. */
function roundBlock(b: KernelBuilder, vectors: readonly Value[], bits: 4 | 8) {
  const scale = scaleOf(b, vectors);
  const codes = vectors.map((v) => roundedCode(b, v, b.splat(scale)));
  const sum = joined(b, 'add', fourOf(b, 'add', joined(b, 'add', codes)));
  const words = b.lanes === 4 ? packFours(b, codes, bits) : packWords(b, codes, bits);
  return { words, scale, sum };
}

/**
 * The largest magnitude / 127, or 1 for zeros. Without a sign, floats are ordered as their bits are,
 * and NaN comes last: engines take many instructions for the largest of floats.
 */
function scaleOf(b: KernelBuilder, vectors: readonly Value[]): Value {
  const bits = vectors.map((v) => b.bitcast(b.unary('abs', v), 'i32'));
  const top = b.bitcast(joined(b, 'max', fourOf(b, 'max', joined(b, 'max', bits))), 'f32');
  const exact = b.binary('div', top, b.const('f32', 127));
  const nothing = b.compare('eq', exact, b.const('f32', 0));
  return b.select(nothing, b.const('f32', 1), exact);
}

/**
 * As `quantize` has it: the nearest integer, ties to even, NaN as 0. In the sum with 1.5 2^23 the
 * last bit is worth 1: its bits count the integer, which is far smaller.
 */
function roundedCode(b: KernelBuilder, v: Value, scale: Value): Value {
  const quotient = b.binary('div', v, scale);
  const number = b.select(b.compare('eq', quotient, quotient), quotient, b.const('f32', 0));
  const counted = b.bitcast(b.binary('add', number, b.const('f32', COUNTING)), 'i32');
  const code = b.binary('sub', counted, b.const('i32', COUNTING_BITS));
  const { low, high } = codeRange(ACTIVATION_SCHEME);
  return b.binary('min', b.binary('max', code, b.const('i32', low)), b.const('i32', high));
}

/** The lanes of a vector joined to four single values. */
function fourOf(b: KernelBuilder, fn: 'max' | 'add', v: Value): Value[] {
  const folded = foldLanes(b, v, 4, (x, y) => b.binary(fn, x, y));
  return [0, 1, 2, 3].map((lane) => b.lane(folded, lane));
}

/** One value of a list whose length is a power of two, joined pairwise. */
function joined(b: KernelBuilder, fn: 'max' | 'add', list: readonly Value[]): Value {
  let rest = list;
  while (rest.length > 1) {
    const half = rest.length / 2;
    rest = rest.slice(0, half).map((v, i) => b.binary(fn, v, rest[i + half]));
  }
  return rest[0];
}

/**
 * Four codes to a word: neighbours, or every other one of eight where the weight's bytes hold two
 * each. Byte by byte, the codes of all words come into one vector; lanes beyond the words repeat.
 */
function packWords(b: KernelBuilder, codes: readonly Value[], bits: 4 | 8): Value[] {
  const place = (word: number, byte: number) =>
    bits === 8 ? 4 * word + byte : 8 * Math.floor(word / 2) + 2 * byte + (word % 2);
  const bytes = [0, 1, 2, 3].map((byte) => {
    const wanted = b.eachLane((word) => place(word % WORDS, byte));
    const low = b.binary('and', pickLanes(b, codes, wanted), b.const('i32', 255));
    return byte === 0 ? low : b.binary('shl', low, b.const('i32', 8 * byte));
  });
  return [joined(b, 'add', bytes)];
}

/** The lanes that are wanted of several vectors, counted through all of them. */
function pickLanes(b: KernelBuilder, vectors: readonly Value[], wanted: readonly number[]): Value {
  const { lanes } = b;
  return vectors.reduce((found, vector, i) => {
    const inside = (place: number) => Math.floor(place / lanes) === i;
    if (i > 0 && !wanted.some(inside)) return found;
    const places = wanted.map((place, lane) => (inside(place) ? lanes + (place % lanes) : lane));
    return b.shuffle(found, vector, places);
  }, vectors[0]);
}

/** The words of vectors of four lanes. */
function packFours(b: KernelBuilder, codes: readonly Value[], bits: 4 | 8): Value[] {
  const ordered =
    bits === 8
      ? codes
      : codes.flatMap((_, i) => {
          if (i % 2 === 1) return [];
          const [first, second] = [codes[i], codes[i + 1]];
          return [b.shuffle(first, second, [0, 2, 4, 6]), b.shuffle(first, second, [1, 3, 5, 7])];
        });
  const shifts = b.pack([0, 8, 16, 24].map((count) => b.const('i32', (2 ** count) | 0)));
  const placed = ordered.map((v) =>
    b.binary('mul', b.binary('and', v, b.const('i32', 255)), shifts),
  );
  const pairs = (x: Value, y: Value) =>
    b.binary('add', b.shuffle(x, y, [0, 2, 4, 6]), b.shuffle(x, y, [1, 3, 5, 7]));
  return [0, 4].map((from) => {
    const [p, q, r, s] = placed.slice(from, from + 4);
    return pairs(pairs(p, q), pairs(r, s));
  });
}
