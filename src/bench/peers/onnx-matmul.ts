import type { Product } from './openblas.ts';

/**
 * An ONNX model of one product of f32 matrices, a [m, k] times b [k, n] giving c. It is written by
 * hand in the wire format of protocol buffers: a field is its number and kind, then its content.
 */

const [VARINT, BYTES] = [0, 2];
const FLOAT = 1;
const IR_VERSION = 8;
const OPSET = 17;

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    if (left < 128) return [...bytes, left];
    bytes.push((left % 128) | 128);
  }
}

function integer(field: number, value: number): number[] {
  return [...varint(field * 8 + VARINT), ...varint(value)];
}

function nested(field: number, ...content: readonly number[][]): number[] {
  const bytes = content.flat();
  return [...varint(field * 8 + BYTES), ...varint(bytes.length), ...bytes];
}

function text(field: number, value: string): number[] {
  return nested(field, [...Buffer.from(value)]);
}

/** A named matrix: its type is a tensor, of element type and shape. */
function matrix(field: number, name: string, sizes: readonly number[]): number[] {
  const shape = nested(2, ...sizes.map((size) => nested(1, integer(1, size))));
  return nested(field, text(1, name), nested(2, nested(1, integer(1, FLOAT), shape)));
}

export function onnxMatmul({ m, n, k }: Pick<Product, 'm' | 'n' | 'k'>): Uint8Array {
  const node = nested(1, text(1, 'a'), text(1, 'b'), text(2, 'c'), text(4, 'MatMul'));
  const inputs = [matrix(11, 'a', [m, k]), matrix(11, 'b', [k, n])];
  const graph = nested(7, node, text(2, 'product'), ...inputs, matrix(12, 'c', [m, n]));
  return Uint8Array.from([...integer(1, IR_VERSION), ...graph, ...nested(8, integer(2, OPSET))]);
}
