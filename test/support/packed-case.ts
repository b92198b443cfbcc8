import * as fc from 'fast-check';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { panelShapes } from '../../src/ir/packed.ts';
import { sizeOf, variable } from '../../src/ir/shape.ts';
import { packedLinear, quantScheme } from '../../src/tensor/functions/index.ts';
import { Lazy } from '../../src/tensor/lazy.ts';
import { chooseDevice, Tensor } from '../../src/tensor/tensor.ts';
import { numbers } from './run-graph.ts';

const SCHEMES = ['int8-g32', 'int4-g32', 'int4-g128', 'int8-row'] as const;

/** A product of rows with a packed weight. */
export interface PackedCase {
  readonly scheme: (typeof SCHEMES)[number];
  readonly rows: number;
  /** The smallest blocks that rows of the scheme can have, in a row. */
  readonly blocks: number;
  /** Rows of the weight. */
  readonly width: number;
  /** The rows are the first of as many, by a var. */
  readonly room?: number;
  readonly seed: number;
}

export const anyPackedCase: fc.Arbitrary<PackedCase> = fc.record({
  scheme: fc.constantFrom(...SCHEMES),
  rows: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 128),
  blocks: fc.integer({ min: 1, max: 3 }),
  width: fc.constantFrom(1, 3, 4, 5, 8, 9, 12, 17),
  seed: fc.nat({ max: 1000 }),
});

export interface PackedGraph {
  readonly inputs: g.BufferNode[];
  readonly values: TypedArray[];
  readonly output: Node;
  readonly vars: ReadonlyMap<string, number>;
}

/** Builds a case, with codes and scales of a seed in panels. */
export function packedGraph(c: PackedCase): PackedGraph {
  const { scheme: name, rows, blocks, width, room, seed } = c;
  const columns = blocks * (name === 'int4-g128' ? 128 : 32);
  const scheme = quantScheme(name, columns);
  const shapes = panelShapes([width, columns], scheme);
  const inputs = [
    g.bufferNode('f32', [room ?? rows, columns], 'x'),
    g.bufferNode(scheme.bits === 8 ? 'i8' : 'u8', shapes.codes, 'codes'),
    g.bufferNode('f32', shapes.scales, 'scales'),
  ];
  const x = numbers(seed, (room ?? rows) * columns);
  // Blocks of zeros, and of numbers for which there is no scale or hardly one.
  if (seed % 3 === 0) x.fill(0, 0, 32);
  if (seed % 5 === 0) x.fill(-190 * 2 ** -149, 0, 16);
  const bytes = Uint8Array.from(
    numbers(seed + 1, sizeOf(shapes.codes)),
    (v, i) => (v * 9973 + i * 7) & 255,
  );
  const codes = scheme.bits === 8 ? new Int8Array(bytes.buffer) : bytes;
  const scales = numbers(seed + 2, sizeOf(shapes.scales));
  const stand = (node: Node) => new Tensor(new Lazy(chooseDevice('interpret'), node, []));
  const count = room === undefined ? rows : variable('rows', 1, room);
  const some = g.shrink(inputs[0], [
    [0, count],
    [0, columns],
  ]);
  const matrix = {
    scheme,
    shape: [width, columns] as const,
    codes: stand(inputs[1]),
    scales: stand(inputs[2]),
  };
  return {
    inputs,
    values: [x, codes, scales],
    output: packedLinear(stand(some), matrix).node,
    vars: new Map(room === undefined ? [] : [['rows', rows]]),
  };
}
