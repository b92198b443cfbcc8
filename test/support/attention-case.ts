import * as fc from 'fast-check';
import type { TypedArray } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import { gradientGraph } from '../../src/ir/graph/gradient.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { type Dim, sizeOf, variable } from '../../src/ir/shape.ts';
import {
  type AttentionOptions,
  pagedAttention,
  scaledDotProductAttention,
} from '../../src/tensor/functions/index.ts';
import { Lazy } from '../../src/tensor/lazy.ts';
import { chooseDevice, Tensor } from '../../src/tensor/tensor.ts';
import { numbers } from './run-graph.ts';

/** What an attention is made of; anything not said is left out. */
export interface AttentionCase {
  readonly batch?: number;
  readonly kvHeads?: number;
  readonly group?: number;
  readonly queries: number;
  readonly keys: number;
  readonly depth: number;
  readonly width?: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly softcap?: number;
  readonly scale?: number;
  readonly mask?: 'bool' | 'float' | 'keys';
  /** A number, one scalar as data, or one for each batch member. */
  readonly offset?: number | readonly number[];
  readonly offsetIs?: 'number' | 'scalar' | 'batch' | 'var';
  /** The keys are symbolic: of this many in memory. */
  readonly keyRoom?: number;
  /** Keys lie in blocks of this size. */
  readonly block?: number;
}

/** Sizes around the borders of tiles (4 rows, 8 and 32 keys, blocks of 64 rows). */
const size = fc.constantFrom(1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 47, 63, 64, 65, 70);
const width = fc.oneof(fc.integer({ min: 1, max: 80 }), fc.constantFrom(4, 8, 32, 64));

export const anyAttentionCase: fc.Arbitrary<AttentionCase> = fc
  .record({
    batch: fc.integer({ min: 1, max: 2 }),
    kvHeads: fc.constantFrom(1, 2, 8),
    group: fc.constantFrom(1, 1, 2, 3),
    queries: size,
    keys: size,
    depth: width,
    width,
    causal: fc.boolean(),
    window: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
    softcap: fc.option(fc.constantFrom(1.5, 20), { nil: undefined }),
    scale: fc.option(fc.constantFrom(0.25, 0.7), { nil: undefined }),
    mask: fc.option(fc.constantFrom('bool' as const, 'float' as const, 'keys' as const), {
      nil: undefined,
      freq: 1,
    }),
    place: fc.nat({ max: 70 }),
    offsetIs: fc.constantFrom('none', 'number', 'scalar', 'batch', 'var'),
    keyRoom: fc.option(fc.constantFrom(0, 1, 30), { nil: undefined, freq: 1 }),
    block: fc.option(fc.constantFrom(1, 3, 8, 16), { nil: undefined, freq: 1 }),
  })
  .map(({ window, place, offsetIs, keyRoom, block, ...rest }) => ({
    ...rest,
    ...(rest.causal && window ? { window } : {}),
    ...(rest.causal && offsetIs !== 'none'
      ? { offset: [place % (rest.keys + 1), (place * 3) % (rest.keys + 1)], offsetIs }
      : {}),
    // A mask cannot be cut to a symbolic size here.
    ...(keyRoom !== undefined && !rest.mask ? { keyRoom: rest.keys + keyRoom } : {}),
    ...(block ? { block } : {}),
  }))
  .map((c) => {
    const { offset } = c as AttentionCase;
    if (!Array.isArray(offset)) return c as AttentionCase;
    const count = (c as AttentionCase).offsetIs === 'batch' ? c.batch : 1;
    return { ...c, offset: offset.slice(0, count) } as AttentionCase;
  });

export interface AttentionGraph {
  readonly inputs: g.BufferNode[];
  readonly values: TypedArray[];
  readonly output: Node;
  /** By q, k, v; by q alone where the keys are symbolic or in blocks. */
  readonly gradients: Node[];
  readonly vars: ReadonlyMap<string, number>;
}

const placeholder = (node: Node) => new Tensor(new Lazy(chooseDevice('interpret'), node, []));

/** Builds a case, with values of a seed. */
export function attentionGraph(c: AttentionCase, seed = 1): AttentionGraph {
  const { batch = 1, kvHeads = 1, group = 1, queries, keys, depth, width = depth } = c;
  const inputs: g.BufferNode[] = [];
  const values: TypedArray[] = [];
  const vars = new Map<string, number>();
  const input = (name: string, shape: number[]): g.BufferNode => {
    const node = g.bufferNode('f32', shape, name);
    inputs.push(node);
    values.push(numbers(seed * 31 + inputs.length, sizeOf(shape)));
    return node;
  };
  const integers = (name: string, shape: number[], data: readonly number[]): Tensor => {
    const node = g.bufferNode('i32', shape, name);
    inputs.push(node);
    values.push(Int32Array.from(data));
    return placeholder(node);
  };
  const variableOf = (name: string, value: number, max: number) => {
    vars.set(name, value);
    return variable(name, 0, max);
  };
  const q = input('q', [batch, kvHeads * group, queries, depth]);
  const options: { -readonly [K in keyof AttentionOptions]: AttentionOptions[K] } = {
    isCausal: c.causal ?? false,
    softcap: c.softcap ?? null,
    scale: c.scale ?? null,
    slidingWindow: c.window ?? null,
  };
  if (c.offset !== undefined) {
    const [first] = [c.offset].flat();
    if (c.offsetIs === 'scalar') options.queryOffset = integers('offset', [], [first]);
    else if (c.offsetIs === 'batch') {
      options.queryOffset = integers('offset', [batch], [c.offset].flat());
    } else if (c.offsetIs === 'var') options.queryOffset = variableOf('offset', first, keys);
    else options.queryOffset = first;
  }
  if (c.mask) {
    const shape = c.mask === 'keys' ? [batch, 1, 1, keys] : [1, kvHeads * group, queries, keys];
    const added = placeholder(input('mask', shape));
    options.mask = c.mask === 'float' ? added : added.gt(-0.8);
  }
  const length: Dim = c.keyRoom ? variableOf('keys', keys, c.keyRoom) : keys;
  const [k, v, output] = c.block
    ? paged(c.block)
    : plain([batch, kvHeads, c.keyRoom ?? keys, depth]);

  function plain(shape: number[]): [Node, Node, Tensor] {
    const nodes = [input('k', shape), input('v', [...shape.slice(0, 3), width])];
    const [kk, vv] = nodes.map((node) => {
      const ranges = node.shape.map((d, axis): [number, Dim] => [0, axis === 2 ? length : d]);
      return placeholder(g.shrink(node, ranges));
    });
    const result = scaledDotProductAttention(placeholder(q), kk, vv, {
      ...options,
      enableGqa: true,
    });
    return [nodes[0], nodes[1], result];
  }

  function paged(block: number): [Node, Node, Tensor] {
    const pages = Math.ceil((c.keyRoom ?? keys) / block);
    const blocks = batch * pages + 3;
    const nodes = [
      input('k', [blocks, block, kvHeads, depth]),
      input('v', [blocks, block, kvHeads, width]),
    ];
    const places = Array.from({ length: batch * pages }, (_, i) => (i * 7 + seed) % blocks);
    const table = integers('table', [batch, pages], places);
    const [kk, vv] = nodes.map(placeholder);
    const result = pagedAttention(placeholder(q), kk, vv, table, { ...options, keys: length });
    return [nodes[0], nodes[1], result];
  }

  const upstream = input('upstream', [batch, kvHeads * group, queries, width]);
  const targets = c.keyRoom || c.block ? [q as Node] : [q as Node, k, v];
  const gradients = gradientGraph([output.node], [upstream], targets);
  return { inputs, values, output: output.node, gradients, vars };
}
