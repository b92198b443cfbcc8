import { InternalError } from '../../base/errors.ts';
import { formatShape, shapesEqual } from '../shape.ts';
import { OPS } from './ops/table.ts';
import { topological } from './traverse.ts';
import type { Node, OpName, OpRule } from './types.ts';

/**
 * Checks every node against the op table: what a rewrite broke is found here, not in a kernel.
 *
 * @param verified nodes that are right, with all below them; those found right here are added
 */
export function verifyGraph(outputs: readonly Node[], verified = new Set<Node>()): void {
  for (const node of topological(outputs, (n) => verified.has(n))) {
    if (verified.has(node)) continue;
    verified.add(node);
    if (node.op === 'const' || node.op === 'buffer') continue;
    const rule = OPS[node.op] as OpRule<OpName>;
    const { dtype, shape } = rule.infer(node.src, node.arg);
    if (dtype !== node.dtype || !shapesEqual(shape, node.shape)) {
      throw new InternalError(
        `${node.op} node ${node.id} says ${node.dtype}${formatShape(node.shape)}, ` +
          `its sources say ${dtype}${formatShape(shape)}`,
      );
    }
  }
}
