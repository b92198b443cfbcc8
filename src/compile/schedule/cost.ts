import type { Node, UnaryFn } from '../../ir/graph/types.ts';
import { mustNarrow } from '../lower/narrow.ts';
import { opClass } from '../op-class.ts';

/** Rounding a value to a small format in its register. */
const NARROWING = 8;

const CHEAP_UNARY: ReadonlySet<UnaryFn> = new Set([
  'neg',
  'abs',
  'not',
  'floor',
  'ceil',
  'trunc',
  'round',
]);

/** Rough instructions for one element of one op. */
function ownCost(node: Node): number {
  return operationCost(node) + (mustNarrow(node) ? NARROWING : 0);
}

function operationCost(node: Node): number {
  switch (node.op) {
    case 'unary':
      return CHEAP_UNARY.has(node.arg.fn) ? 1 : node.arg.fn === 'sqrt' ? 3 : 12;
    case 'binary':
      return node.arg.fn === 'pow' || node.arg.fn === 'atan2' ? 60 : node.arg.fn === 'div' ? 3 : 1;
    case 'gather':
      return 4;
    case 'quantize':
      return 8;
    case 'dequantize':
      // Its codes are an eighth to a quarter of its values: memory would cost more than they do.
      return 0;
    default:
      return opClass(node) === 'pointwise' ? 1 : 0;
  }
}

/** Instructions to compute an element anew, up to what has memory anyhow. */
export function fusedCosts(
  order: readonly Node[],
  inMemory: (node: Node) => boolean = () => false,
): Map<number, number> {
  const costs = new Map<number, number>();
  for (const node of order) {
    const kind = opClass(node);
    const sources = node.src.reduce((sum, s) => sum + (costs.get(s.id) ?? 0), 0);
    const computed = (kind === 'pointwise' || kind === 'move') && !inMemory(node);
    const cost = computed ? ownCost(node) + sources : 0;
    // Capped: shared sub-expressions are counted once per path and would grow without end.
    costs.set(node.id, Math.min(cost, 1e6));
  }
  return costs;
}
