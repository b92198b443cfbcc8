import { operandsOf } from '../../../ir/kernel/operands.ts';
import { isTileStatement } from '../../../ir/kernel/tiles.ts';
import type { Statement, Value } from '../../../ir/kernel/types.ts';

/** How often each value is used, and which need no local. */
export interface Uses {
  count(value: Value): number;
  /** True for a pure value whose single use is in its own block: written in place. */
  isInline(value: Value): boolean;
}

export function countUses(body: readonly Statement[]): Uses {
  const counts = new Map<Value, number>();
  const blockOf = new Map<Value, readonly Statement[]>();
  const usedIn = new Map<Value, readonly Statement[]>();
  const visit = (block: readonly Statement[]): void => {
    const use = (value: Value) => {
      counts.set(value, (counts.get(value) ?? 0) + 1);
      usedIn.set(value, block);
    };
    for (const statement of block) {
      if (statement.kind === 'prefetch' || isTileStatement(statement)) continue;
      if (statement.kind === 'store') use(statement.value);
      else if (statement.kind === 'loop') {
        for (const { init } of statement.carried) use(init);
        visit(statement.body);
        for (const { next } of statement.carried) {
          counts.set(next, (counts.get(next) ?? 0) + 1);
          usedIn.set(next, statement.body);
        }
      } else {
        blockOf.set(statement, block);
        operandsOf(statement).forEach(use);
      }
    }
  };
  visit(body);
  // Single constants are immediates. Vector constants get a local outside the loops: engines build
  // one from three instructions at each place where its instruction stands.
  const isConstant = (value: Value): boolean => value.kind === 'const';
  const movable = (value: Value): boolean =>
    (value.kind !== 'load' && value.kind !== 'words') || value.buffer.role === 'in';
  return {
    count: (value) => counts.get(value) ?? 0,
    isInline: (value) =>
      isConstant(value) ||
      (counts.get(value) === 1 && movable(value) && usedIn.get(value) === blockOf.get(value)),
  };
}
