import type { CheckedValue } from '../../../ir/kernel/types.ts';
import type { Emitter } from './emitter.ts';
import { argumentRegister } from './indices.ts';
import { general, place, type Virtual, vector } from './machine.ts';

/**
 * Compares an index that is data with its bounds, records the first that lies outside, and clamps it.
 *
 * @param control number of the argument that has the address of the control block
 * @returns the register with the index
 */
export function emitChecked(e: Emitter, value: CheckedValue, control: number): Virtual {
  const { m } = e;
  const { check, size } = value;
  const word = m.virtual('general');
  const index = m.virtual('general');
  m.writes('vmovd', general(word, 32), vector(e.use(value.a), 128));
  // Proven ones are never negative; of the others a negative one is a large one.
  m.writes('mov', general(index, 32), general(word, 32));
  if (check === undefined) return index;
  const inside = e.label();
  m.reads('cmp', general(index, 32), size | 0);
  m.inRegion(() => {
    m.branch('b', inside);
    recordFailure(e, control, word, check, size);
    const zero = m.virtual('general');
    // The nearest index: 0 for negative ones, else the last.
    m.writes('mov', general(index, 32), (size - 1) | 0);
    m.writes('mov', general(zero, 32), 0);
    m.reads('test', general(word, 32), general(word, 32));
    m.changes('cmovs', general(index, 32), general(zero, 32));
    m.bind(inside);
  });
  return index;
}

/** Of threads that find an index out of range at the same time, one records it. */
function recordFailure(
  e: Emitter,
  argument: number,
  word: Virtual,
  check: number,
  size: number,
): void {
  const { m } = e;
  const control = argumentRegister(m, argument);
  const [one, known] = [m.virtual('general'), e.label()];
  m.writes('mov', general(one, 32), 1);
  m.changes('xchg', place(control, 0), general(one, 32));
  m.reads('test', general(one, 32), general(one, 32));
  m.branch('ne', known);
  m.reads('mov', place(control, 4, { bits: 32 }), check);
  m.reads('mov', place(control, 8), general(word, 32));
  m.reads('mov', place(control, 12, { bits: 32 }), size | 0);
  m.bind(known);
}
