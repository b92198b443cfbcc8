import { isFloat } from '../../ir/dtype.ts';
import { BINARY, COMPARE, UNARY } from '../../ir/graph/functions.ts';
import { castNumber } from '../../ir/graph/ops/elementwise.ts';
import type { Node } from '../../ir/graph/types.ts';
import { constantLike, constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/** Operations on constants become constants, with the arithmetic of the graph interpreter. */
export const constantFolding: Pass = { name: 'constant folding', start: () => fold };

function fold(node: Node): Node {
  const values = node.src.map(constantValue);
  const [x, y] = values;
  if (x === undefined || values.includes(undefined)) return node;
  switch (node.op) {
    case 'unary':
      if (node.dtype === 'bool') return constantLike(node, 1 - x);
      return constantLike(node, UNARY[node.arg.fn].evaluate(x));
    case 'binary':
      return constantLike(node, BINARY[node.arg.fn].evaluate(x, y as number, !isFloat(node.dtype)));
    case 'compare':
      return constantLike(node, Number(COMPARE[node.arg.fn](x, y as number)));
    case 'cast':
      return constantLike(node, castNumber(x, node.src[0].dtype, node.dtype));
    case 'where':
      return node.src[x !== 0 ? 1 : 2];
    default:
      return node;
  }
}
