import { callKey } from '../../ir/graph/print.ts';
import type { BinaryFn, CompareFn, Node } from '../../ir/graph/types.ts';
import { formatShape } from '../../ir/shape.ts';
import type { Pass } from './pass.ts';

function plainKey(argument: unknown): string {
  return JSON.stringify(argument, (_k, v: unknown) =>
    typeof v === 'number' && (Object.is(v, -0) || !Number.isFinite(v)) ? `#${1 / v}${v}` : v,
  );
}

/** Equal operations on equal sources are one. */
export const commonSubexpressions: Pass = {
  name: 'common subexpressions',
  start: () => {
    const known = new Map<string, Node>();
    return (node) => {
      if (node.op === 'buffer') return node;
      const argument = node.op === 'call' ? callKey(node.arg) : plainKey(node.arg);
      const src = node.src.map((s) => s.id);
      if (isCommutative(node)) src.sort((a, b) => a - b);
      const key = `${node.op}:${node.dtype}:${formatShape(node.shape)}:${argument}:${src.join(',')}`;
      const first = known.get(key);
      if (first) return first;
      known.set(key, node);
      return node;
    };
  },
};

const COMMUTATIVE: ReadonlySet<BinaryFn | CompareFn> = new Set<BinaryFn | CompareFn>([
  'add',
  'mul',
  'max',
  'min',
  'and',
  'or',
  'xor',
  'eq',
  'ne',
]);

function isCommutative(node: Node): boolean {
  return (node.op === 'binary' || node.op === 'compare') && COMMUTATIVE.has(node.arg.fn);
}
