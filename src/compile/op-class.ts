import { dotParts } from '../ir/graph/ops/dot.ts';
import type { Node, NodeOf, OpName } from '../ir/graph/types.ts';
import { isStatic, sizeOf } from '../ir/shape.ts';
import { FEW_ROWS } from './kernels/gemv.ts';

/** What an op is to the compiler. */
export type OpClass =
  /** Costs no arithmetic: an address or a constant. */
  | 'leaf'
  | 'move'
  /** One value from one value of each source. */
  | 'pointwise'
  | 'reduce'
  /** Has a template of its own. */
  | 'template';

const CLASSES: { readonly [K in OpName]: OpClass } = {
  const: 'leaf',
  buffer: 'leaf',
  var: 'leaf',
  iota: 'leaf',
  cast: 'pointwise',
  bitcast: 'pointwise',
  unary: 'pointwise',
  binary: 'pointwise',
  compare: 'pointwise',
  where: 'pointwise',
  gather: 'pointwise',
  quantize: 'pointwise',
  dequantize: 'pointwise',
  reduce: 'reduce',
  reshape: 'move',
  permute: 'move',
  expand: 'move',
  pad: 'move',
  shrink: 'move',
  flip: 'move',
  window: 'move',
  spread: 'move',
  mark: 'move',
  after: 'move',
  scan: 'template',
  sort: 'template',
  scatter: 'template',
  dot: 'template',
  call: 'template',
};

/** True for a product whose right operand is read where it lies, once for all rows. */
export function hasFewRows(node: NodeOf<'dot'>): boolean {
  const { rows } = dotParts(node);
  return isStatic(rows) && sizeOf(rows) <= FEW_ROWS;
}

export function opClass(node: Node): OpClass {
  return CLASSES[node.op];
}
