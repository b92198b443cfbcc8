import { InternalError } from '../../../base/errors.ts';
import { type Index, laneStep, range } from '../../../ir/kernel/index-expr.ts';
import type { Emitter } from './emitter.ts';
import { general, place, type Virtual } from './machine.ts';

/** A condition base + step lane >= 0. */
export interface LaneCondition {
  readonly base: Index;
  readonly step: number;
}

export function laneCondition(condition: Index): LaneCondition {
  const even = laneStep(condition);
  if (!even) throw new InternalError(`a mask is uneven in the lane: ${condition}`);
  return even;
}

/**
 * How many of the first lanes a condition with step -1 leaves, 0 to `lanes`, in a register or as a
 * constant.
 */
export function lanesLeft(e: Emitter, base: Index, lanes: number): Virtual | number {
  if (base.isConstant) return Math.max(0, Math.min(lanes, base.constant + 1));
  const { m } = e;
  const count = m.virtual('general');
  m.writes('lea', general(count), place(e.index(base), 1));
  const { min, max } = range(base);
  const limit = (value: number, move: 'cmovl' | 'cmovg') => {
    const bound = m.virtual('general');
    m.writes('mov', general(bound), value);
    m.reads('cmp', general(count), general(bound));
    m.changes(move, general(count), general(bound));
  };
  if (max + 1 > lanes) limit(lanes, 'cmovg');
  if (min + 1 < 0) limit(0, 'cmovl');
  return count;
}
