import { roundTo } from '../float-formats.ts';
import { type Dim, isVar, sizeOf } from '../shape.ts';
import { OPS } from './ops/table.ts';
import { topological } from './traverse.ts';
import type { Environment, NdArray, Node, OpName, OpRule } from './types.ts';

/**
 * Evaluates a graph by the op table: each op in double precision, its result rounded to its type.
 * Slow, and the definition of what every device computes.
 *
 * @param buffers values of the buffer nodes by their `arg.id`
 * @param vars values of symbolic sizes by name
 * @throws RangeError for a gather or scatter index outside its axis
 */
export function interpretGraph(
  outputs: readonly Node[],
  buffers: ReadonlyMap<number, NdArray>,
  vars: ReadonlyMap<string, number> = new Map(),
): NdArray[] {
  const size = (dim: Dim): number => {
    if (!isVar(dim)) return dim;
    const value = vars.get(dim.name);
    if (value === undefined) throw new TypeError(`the symbolic size ${dim.name} has no value`);
    return value;
  };
  const env: Environment = {
    size,
    buffer(node) {
      const array = buffers.get(node.arg.id);
      if (!array) throw new TypeError(`the buffer ${node.arg.name} has no value`);
      return array;
    },
    evaluate(body, parameters, arrays) {
      const bound = new Map(parameters.map((p, i) => [p.arg.id, arrays[i]]));
      return interpretGraph([body], bound, vars)[0].data;
    },
  };
  const values = new Map<number, NdArray>();
  const evaluated = (node: Node): NdArray => {
    const value = values.get(node.id);
    if (!value) throw new TypeError('a source was not evaluated');
    return value;
  };
  const order = topological(outputs);
  const uses = countUses(order, outputs);
  for (const node of order) {
    const shape = node.shape.map(size);
    const rule = OPS[node.op] as OpRule<OpName>;
    const src = node.src.map(evaluated);
    const raw = rule.interpret(node, src, shape, env);
    values.set(node.id, { dtype: node.dtype, shape, data: rounded(node, raw, shape) });
    // Sources that nothing needs any more are let go: long graphs then fit in memory.
    for (const source of node.src) {
      const left = (uses.get(source.id) ?? 0) - 1;
      uses.set(source.id, left);
      if (left === 0) values.delete(source.id);
    }
  }
  return outputs.map(evaluated);
}

function countUses(order: readonly Node[], outputs: readonly Node[]): Map<number, number> {
  const uses = new Map<number, number>();
  const use = (node: Node) => uses.set(node.id, (uses.get(node.id) ?? 0) + 1);
  for (const node of order) node.src.forEach(use);
  outputs.forEach(use);
  return uses;
}

const MOVES: ReadonlySet<OpName> = new Set([
  'reshape',
  'permute',
  'expand',
  'shrink',
  'flip',
  'window',
  'buffer',
]);

function rounded(node: Node, raw: Float64Array, shape: readonly number[]): Float64Array {
  if (MOVES.has(node.op) || node.dtype === 'f64') return raw;
  const out = new Float64Array(sizeOf(shape));
  for (let i = 0; i < out.length; i++) out[i] = roundTo(node.dtype, raw[i]);
  return out;
}
