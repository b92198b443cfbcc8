import { mem, r32, r64, rax, rdi, rdx, type X64Assembler } from '../../../asm/index.ts';
import { CONTROL_WORDS } from '../../../ir/program.ts';

/** Ticks of the processor's clock that a thread spins before it sleeps: some 50 microseconds. */
const SPIN_TICKS = 130_000;
const FUTEX = 202;
const [WAIT, WAKE] = [128, 129];
const ALL = 0x7fffffff;

const ARRIVALS = CONTROL_WORDS.arrivals;
/** Threads that sleep, or are about to: only then somebody has to be woken. */
const SLEEPERS = ARRIVALS + 4;

/**
 * barrier(rdi: control block, esi: target, edx: threads): counts the thread in and returns when
 * `target` arrivals have been counted, all barriers of the run together. Threads mostly arrive within
 * microseconds of each other: so it spins first, and then sleeps; the last one to arrive wakes them.
 */
export function writeBarrier(a: X64Assembler): void {
  const [alone, spin, sleep, wait, done, wake] = Array.from({ length: 6 }, () => a.label());
  const [control, target, seen, start] = [r64(8), r32(9), r32(10), r64(11)];
  a.emit('cmp', r32(2), 1).branch('e', alone);
  a.emit('mov', control, rdi).emit('mov', target, r32(6));
  a.emit('mov', r32(0), 1).emit('lock_xadd', mem(control, ARRIVALS), r32(0));
  a.emit('add', r32(0), 1).emit('cmp', r32(0), target).branch('ge', wake);
  const ticks = () => a.emit('rdtsc').emit('shl', rdx, 32).emit('or', rax, rdx);
  ticks().emit('mov', start, rax);
  a.bind(spin);
  a.emit('cmp', mem(control, ARRIVALS), target).branch('ge', done);
  a.emit('pause');
  ticks().emit('sub', rax, start).emit('cmp', rax, SPIN_TICKS).branch('b', spin);
  a.bind(sleep);
  a.emit('lock_add', mem(control, SLEEPERS, { bits: 32 }), 1);
  a.bind(wait);
  a.emit('mov', seen, mem(control, ARRIVALS));
  const awake = a.label();
  a.emit('cmp', seen, target).branch('ge', awake);
  a.emit('lea', rdi, mem(control, ARRIVALS)).emit('mov', r32(6), WAIT);
  a.emit('mov', r32(2), seen).emit('xor', r32(10), r32(10));
  // The call changes rcx and r11 beside its result.
  a.emit('mov', r32(0), FUTEX).emit('syscall').jump(wait);
  a.bind(awake);
  a.emit('lock_sub', mem(control, SLEEPERS, { bits: 32 }), 1);
  a.bind(done).emit('ret');
  a.bind(wake);
  a.emit('cmp', mem(control, SLEEPERS, { bits: 32 }), 0).branch('e', alone);
  a.emit('lea', rdi, mem(control, ARRIVALS)).emit('mov', r32(6), WAKE);
  a.emit('mov', r32(2), ALL).emit('mov', r32(0), FUTEX).emit('syscall');
  a.bind(alone).emit('ret');
}
