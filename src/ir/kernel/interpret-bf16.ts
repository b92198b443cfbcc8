import { encodeFloat } from '../float-formats.ts';
import { fma32 } from './interpret-fma.ts';

/**
 * Arithmetic of bf16 as the instructions for it do it, whatever the thread's settings: subnormal
 * operands count as 0, subnormal results become 0, both with their sign.
 */

/** The smallest float that is not subnormal. */
const NORMAL = 2 ** -126;

function flushed(x: number): number {
  return Math.abs(x) < NORMAL ? x * 0 : x;
}

/** a b + c, rounded once. */
export function flushedFma(a: number, b: number, c: number): number {
  return flushed(fma32(flushed(a), flushed(b), flushed(c)));
}

export function flushedSum(a: number, b: number): number {
  return flushed(Math.fround(flushed(a) + flushed(b)));
}

const word = new Int32Array(1);
const float = new Float32Array(word.buffer);

/** The element in the low half of a word. */
export function lowHalf(pair: number): number {
  word[0] = pair << 16;
  return float[0];
}
export function highHalf(pair: number): number {
  word[0] = pair & 0xffff0000;
  return float[0];
}

/** Two floats as one word. */
export function toPair(low: number, high: number): number {
  return encodeFloat('bf16', flushed(low)) | (encodeFloat('bf16', flushed(high)) << 16);
}

export function pairDot(a: number, b: number, c: number): number {
  const first = flushedFma(highHalf(a), highHalf(b), c);
  return flushedFma(lowHalf(a), lowHalf(b), first);
}
