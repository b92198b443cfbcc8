import type { Emitter } from './emitter.ts';
import { general, place, type View } from './machine.ts';

/**
 * The C remainder, exact, lane by lane: the instruction of the old floating-point unit takes off as
 * many binary digits of the quotient as it can, until it says that it is done.
 */
export function emitFloatRemainder(e: Emitter, to: View, a: View, b: View, lanes: number): void {
  const { m } = e;
  const bytes = a.bits / 8;
  const [left, right] = [m.frame(bytes), m.frame(bytes)];
  const status = m.frame(8);
  m.reads('vmovups', place('frame', left), a);
  m.reads('vmovups', place('frame', right), b);
  const frame = general(m.virtual('general'));
  const lane = general(m.virtual('general'));
  m.writes('lea', frame, place('frame', 0));
  m.writes('mov', lane, 0);
  const [next, again] = [e.label(), e.label()];
  const element = (offset: number) =>
    place(frame.register, offset, { index: lane.register, scale: 4, bits: 32 });
  m.inLoop(() => {
    m.bind(next);
    m.reads('fld', element(right));
    m.reads('fld', element(left));
    m.bind(again);
    m.reads('fprem');
    m.reads('fnstsw', place('frame', status, { bits: 16 }));
    m.reads('test', place('frame', status + 1, { bits: 8 }), 4);
    m.branch('ne', again);
    m.reads('fstp', element(left));
    m.reads('fstp_st0');
    m.changes('add', lane, 1);
    m.reads('cmp', lane, lanes);
    m.branch('l', next);
  });
  m.writes('vmovups', to, place('frame', left));
}
