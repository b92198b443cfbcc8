import { debug, debugging } from '../../base/env.ts';
import { printExpression, printGraph } from '../../ir/graph/print.ts';
import { rebuild } from '../../ir/graph/rebuild.ts';
import type { Node } from '../../ir/graph/types.ts';
import { verifyGraph } from '../../ir/graph/verify.ts';
import { exactCasts } from './casts.ts';
import { commonSubexpressions } from './common-subexpressions.ts';
import { constantFolding } from './constant-folding.ts';
import { constantReductions } from './constant-reductions.ts';
import { identities } from './identities.ts';
import { longReductions } from './long-reductions.ts';
import { unmarked } from './marks.ts';
import { joinedMovements } from './movements.ts';
import type { Pass } from './pass.ts';
import { powerOfTwoDivision } from './powers-of-two.ts';
import { selections } from './selections.ts';
import { stability } from './stability.ts';
import { transposedProducts } from './transposed-products.ts';
import { wideScatters } from './wide-scatters.ts';

/**
 * The passes in the order in which they run. What is equal is joined first, so that x - x is seen
 * where both were written out, and last, because the others make things equal.
 */
export const PASSES: readonly Pass[] = [
  unmarked,
  commonSubexpressions,
  joinedMovements,
  exactCasts,
  constantFolding,
  constantReductions,
  identities,
  selections,
  stability,
  powerOfTwoDivision,
  transposedProducts,
  wideScatters,
  longReductions,
  commonSubexpressions,
];

/** Runs all passes over a graph. */
export function rewriteGraph(outputs: readonly Node[], passes: readonly Pass[] = PASSES): Node[] {
  const telling = debugging(3);
  const verified = new Set<Node>();
  let current = [...outputs];
  if (telling) debug(`graph\n${printGraph(current)}`);
  for (const pass of passes) {
    const changes: [before: Node, after: Node][] = [];
    const rule = pass.start();
    current = rebuild(current, (node) => {
      const next = rule(node);
      if (next !== node) changes.push([node, next]);
      return next;
    });
    if (changes.length === 0) continue;
    if (telling) debug(tell(pass, changes));
    verifyGraph(current, verified);
  }
  if (telling) debug(`graph after rewriting\n${printGraph(current)}`);
  return current;
}

/** What a pass changed, one line for each form: `log(add(1, x)) -> log1p(x)`. */
function tell({ name }: Pass, changes: readonly (readonly [Node, Node])[]): string {
  const counts = new Map<string, number>();
  for (const [before, after] of changes) {
    const line = `  ${printExpression(before)}  ->  ${printExpression(after)}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
  }
  const lines = [...counts].map(([line, times]) =>
    times > 1 ? `${line}  (${times} times)` : line,
  );
  return [`${name}: ${changes.length} changed`, ...lines].join('\n');
}
