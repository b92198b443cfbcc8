import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchGraph } from '../../src/ir/graph/batching.ts';
import * as g from '../../src/ir/graph/build.ts';
import { interpretGraph } from '../../src/ir/graph/interpret.ts';
import type { NdArray, Node } from '../../src/ir/graph/types.ts';
import { verifyGraph } from '../../src/ir/graph/verify.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { anyGraphRecipe } from '../support/graph-recipes.ts';
import { buildGraph } from '../support/random-graph.ts';
import { numbers } from '../support/run-graph.ts';

const SIZE = 3;

function run(
  outputs: readonly Node[],
  inputs: readonly g.BufferNode[],
  data: readonly Float32Array[],
) {
  const buffers = new Map<number, NdArray>();
  inputs.forEach((node, i) => {
    const shape = node.shape as number[];
    buffers.set(node.arg.id, { dtype: 'f32', shape, data: Float64Array.from(data[i]) });
  });
  return interpretGraph(outputs, buffers).map((r) => [...r.data]);
}

/** Batches the inputs that `isBatched` names and compares with one run for each member. */
function check(
  outputs: readonly Node[],
  inputs: readonly g.BufferNode[],
  isBatched: (input: number) => boolean,
): void {
  const members = Array.from({ length: SIZE }, (_, m) =>
    inputs.map((node, i) => numbers(isBatched(i) ? m * 10 + i : i, sizeOf(node.shape))),
  );
  const wide = inputs.map((node, i) =>
    isBatched(i) ? g.bufferNode('f32', [SIZE, ...node.shape], `batch${i}`) : node,
  );
  const batched = new Map(
    inputs.flatMap((node, i) => (isBatched(i) ? [[node.id, wide[i]] as const] : [])),
  );
  const together = batchGraph(outputs, batched, SIZE);
  verifyGraph(together);
  const data = inputs.map((_, i) =>
    isBatched(i) ? Float32Array.from(members.flatMap((m) => [...m[i]])) : members[0][i],
  );
  const got = run(together, wide, data);
  const single = members.map((m) => run(outputs, inputs, m));
  outputs.forEach((_, o) => {
    expect(got[o]).toEqual(single.flatMap((s) => s[o]));
  });
}

describe('batching', () => {
  it('of random graphs is the same as one run for each member', () => {
    fc.assert(
      fc.property(anyGraphRecipe, fc.nat({ max: 6 }), (recipe, pick) => {
        const { inputs, outputs } = buildGraph(recipe);
        check(outputs, inputs, (i) => i !== pick % 4);
      }),
      { numRuns: 150 },
    );
  });

  it('of leaves, casts, comparisons and bit operations', () => {
    const x = g.bufferNode('f32', [4], 'x');
    const places = g.iota(4);
    const bits = g.bitcast(x, 'i32');
    const flags = g.compare('lt', x, g.constLike(x, 0.5));
    check(
      [
        g.binary('add', x, g.cast(places, 'f32')),
        g.bitcast(g.binary('and', bits, g.constLike(bits, -256)), 'f32'),
        g.cast(g.unary('not', flags), 'f32'),
        g.where(flags, x, g.constLike(x, 7)),
        g.cast(g.binary('shl', places, g.constLike(places, 2)), 'f32'),
      ],
      [x],
      () => true,
    );
  });

  it('of codes and their values', () => {
    const scheme = { bits: 4, block: 8, zeroPoint: false } as const;
    const x = g.bufferNode('f32', [2, 16], 'x');
    const scales = g.bufferNode('f32', [2, 2], 'scales');
    const codes = g.quantize(x, scales, undefined, scheme);
    const outputs = [codes, g.dequantize(codes, scales, undefined, scheme)];
    for (const both of [true, false]) check(outputs, [x, scales], (i) => both || i === 1);
  });
});
