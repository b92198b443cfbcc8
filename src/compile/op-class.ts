import type { Node, OpName } from '../ir/graph/types.ts';

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
  reduce: 'reduce',
  reshape: 'move',
  permute: 'move',
  expand: 'move',
  pad: 'move',
  shrink: 'move',
  flip: 'move',
  scatter: 'template',
  dot: 'template',
};

export function opClass(node: Node): OpClass {
  return CLASSES[node.op];
}
