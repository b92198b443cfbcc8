import type { PairsValue } from '../../../ir/kernel/types.ts';
import type { Emitter } from './emitter.ts';

/** Places of 16 bits that put elements of two halves of a register in turn. */
const IN_TURN = Array.from({ length: 16 }, (_, i) => i | ((16 + i) << 16));

/** Floats as pairs of bf16. The instruction puts its last operand into the low half. */
export function emitPairs(e: Emitter, value: PairsValue): void {
  const { m } = e;
  const high = e.view(value.b);
  const low = e.operand(value.a);
  if (value.order === 'along') {
    m.writes('vcvtne2ps2bf16', e.target(value), high, low);
    return;
  }
  const halves = e.temporary(high.bits);
  m.writes('vcvtne2ps2bf16', halves, high, low);
  m.writes('vpermw', e.target(value), e.table(IN_TURN), halves);
}
