import * as fc from 'fast-check';
import type { TypedArray } from '../../src/ir/dtype.ts';
import { arrayClass } from '../../src/ir/dtype.ts';
import { encodeFloat, isSmallFloat } from '../../src/ir/float-formats.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { numbers } from './run-graph.ts';

const TYPES = ['f32', 'f32', 'bf16', 'bf16', 'f16', 'f8e4m3', 'i8', 'i32'] as const;

/** A product of matrices with something behind it. */
export interface ProductCase {
  readonly dtype: (typeof TYPES)[number];
  readonly batch: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Operands that lie with their axes changed. */
  readonly turned: readonly [boolean, boolean];
  readonly epilogue: 'none' | 'bias' | 'activation';
  readonly seed: number;
}

/** Sizes around the borders of vectors, tiles and blocks. */
const size = fc.oneof(
  fc.integer({ min: 1, max: 70 }),
  fc.constantFrom(1, 2, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 97, 129),
);
/** Multiplications that an interpreter has time for. */
const MOST = 150_000;

export const anyProductCase: fc.Arbitrary<ProductCase> = fc
  .record({
    dtype: fc.constantFrom(...TYPES),
    batch: fc.constantFrom(1, 1, 1, 2, 3),
    rows: size,
    columns: size,
    depth: fc.oneof(size, fc.constantFrom(256, 257, 300, 515)),
    turned: fc.tuple(fc.boolean(), fc.boolean()),
    epilogue: fc.constantFrom('none', 'bias', 'activation'),
    seed: fc.nat({ max: 999 }),
  })
  .filter(({ batch, rows, columns, depth }) => batch * rows * columns * depth <= MOST);

export interface ProductGraph {
  readonly inputs: g.BufferNode[];
  readonly values: TypedArray[];
  readonly output: Node;
}

export function productGraph(c: ProductCase): ProductGraph {
  const { dtype, batch, rows, columns, depth, turned, epilogue, seed } = c;
  const operand = (name: string, from: number, to: number, isTurned: boolean) => {
    const lead = batch > 1 ? [batch] : [];
    const node = g.bufferNode(dtype, [...lead, ...(isTurned ? [to, from] : [from, to])], name);
    const axes = batch > 1 ? [0, 2, 1] : [1, 0];
    return { node, matrix: isTurned ? g.permute(node, axes) : (node as Node) };
  };
  const x = operand('x', rows, depth, turned[0]);
  const w = operand('w', depth, columns, turned[1]);
  const inputs = [x.node, w.node];
  let output: Node = g.dot(x.matrix, w.matrix, batch > 1 ? 1 : 0, 1);
  if (epilogue === 'bias') {
    const bias = g.bufferNode(dtype, output.shape as number[], 'bias');
    inputs.push(bias);
    output = g.binary('add', output, bias);
  } else if (epilogue === 'activation') {
    output = g.binary('max', output, g.full(0, output.shape, dtype));
  }
  const values = inputs.map((node, i) => {
    const data = numbers(seed + i, sizeOf(node.shape));
    if (dtype === 'f32') return data;
    const array = new (arrayClass(dtype))(data.length);
    data.forEach((v, k) => {
      array[k] = isSmallFloat(dtype) ? encodeFloat(dtype, v) : v * 40;
    });
    return array;
  });
  return { inputs, values, output };
}
