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
