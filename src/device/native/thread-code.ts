import { mem, r32, r64, rax, rbp, rbx, rdi, rdx, rsi, rsp, X64Assembler } from '../../asm/index.ts';
import { CONTROL } from './control.ts';
import { FAULT_ENTRY, FAULTS } from './fault-code.ts';

const SYSTEM = { write: 1, close: 3, poll: 7, munmap: 11, futex: 202 } as const;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;
const POLLERR = 8;
/** Round to nearest, no traps, small numbers kept: what every thread starts with. */
const MXCSR = 0x1f80;

/** The code that every pool needs, and where its functions begin. */
export interface ThreadCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Start routine of a thread; its argument is the thread's record. */
  readonly main: number;
  /** `post(control)`: makes what the control block holds the next command, and wakes who sleeps. */
  readonly post: number;
}

/**
 * What threads of a pool run. A thread waits for the command word to change, first spinning, then
 * asleep; calls `run`; and the last that is done writes a byte to the pipe. It never calls into the C
 * library or Node, so the process may end at any time.
 */
export function threadCode(): ThreadCode {
  const a = new X64Assembler();
  const main = a.label();
  const post = a.label();
  a.bind(main);
  threadMain(a);
  a.align(16).bind(post);
  postCommand(a);
  const bytes = a.bytes();
  return { bytes, main: a.offsetOf(main), post: a.offsetOf(post) };
}

const control = r64(12);
const word = (offset: number) => mem(control, offset, { bits: 32 });
const long = (offset: number) => mem(control, offset, { bits: 64 });

function threadMain(a: X64Assembler): void {
  const [thread, last, deadline] = [r32(13), r32(14), r64(15)];
  const saved = [rbx, rbp, r64(12), r64(13), r64(14), r64(15)];
  const next = a.label();
  const spin = a.label();
  const sleep = a.label();
  const awake = a.label();
  const command = a.label();
  const succeeded = a.label();
  const leave = a.label();
  const abandoned = a.label();

  for (const register of saved) a.emit('push', register);
  // 24 bytes of its own: a pollfd, the word of MXCSR; calls find the stack aligned to 16.
  a.emit('sub', rsp, 24);
  a.emit('mov', control, mem(rdi, 0));
  a.emit('mov', thread, mem(rdi, 8));
  a.emit('xor', last, last);
  a.emit('mov', mem(rsp, 8, { bits: 32 }), MXCSR).emit('vldmxcsr', mem(rsp, 8));

  a.bind(next);
  readClock(a);
  a.emit('mov', deadline, rax).emit('add', deadline, long(CONTROL.spin));
  a.bind(spin);
  a.emit('cmp', last, word(CONTROL.command)).branch('ne', command);
  a.emit('pause');
  readClock(a);
  a.emit('cmp', rax, deadline).branch('b', spin);

  // The count comes before the look at the word, and the host changes the word before it looks at the
  // count: so either this thread does not fall asleep, or it is woken.
  a.emit('lock_add', word(CONTROL.asleep), 1);
  a.bind(sleep);
  a.emit('mov', r32(0), SYSTEM.futex).emit('lea', rdi, mem(control, CONTROL.command));
  a.emit('mov', r32(6), FUTEX_WAIT_PRIVATE).emit('mov', r32(2), last);
  a.emit('xor', r32(10), r32(10));
  a.emit('cmp', word(CONTROL.watch), 0);
  a.emit('lea', r64(11), mem(control, CONTROL.patience)).emit('cmovne', r64(10), r64(11));
  a.emit('syscall');
  a.emit('cmp', last, word(CONTROL.command)).branch('ne', awake);
  a.emit('cmp', word(CONTROL.watch), 0).branch('e', sleep);
  // Who made the pool may be gone, and with it the reader of the pipe.
  a.emit('mov', r32(0), word(CONTROL.pipe)).emit('mov', mem(rsp, 0), r32(0));
  a.emit('mov', mem(rsp, 4, { bits: 32 }), 0);
  a.emit('mov', r32(0), SYSTEM.poll).emit('mov', rdi, rsp).emit('mov', r32(6), 1);
  a.emit('xor', r32(2), r32(2)).emit('syscall');
  a.emit('test', mem(rsp, 6, { bits: 8 }), POLLERR).branch('e', sleep);
  // A command that came just before its end still needs every thread.
  a.emit('cmp', last, word(CONTROL.command)).branch('e', abandoned);

  a.bind(awake);
  a.emit('lock_add', word(CONTROL.asleep), -1);
  a.bind(command);
  a.emit('mov', last, word(CONTROL.command));
  a.emit('mov', rax, long(CONTROL.entry)).emit('test', rax, rax).branch('e', leave);
  a.emit('mov', rdi, long(CONTROL.table)).emit('mov', r32(6), thread);
  a.emit('mov', r32(2), word(CONTROL.threads)).emit('mov', r32(1), word(CONTROL.from));
  a.emit('mov', r32(8), word(CONTROL.to)).emit('call', rax);
  a.emit('test', r32(0), r32(0)).branch('e', succeeded);
  a.emit('mov', word(CONTROL.status), r32(0));
  a.bind(succeeded);
  tellIfLast(a);
  a.jump(next);

  a.bind(leave);
  tellIfLast(a);
  const end = a.label();
  a.bind(end);
  a.emit('add', rsp, 24);
  for (const register of saved.toReversed()) a.emit('pop', register);
  a.emit('xor', r32(0), r32(0)).emit('ret');

  a.bind(abandoned);
  freeIfLast(a, end);
}

function readClock(a: X64Assembler): void {
  a.emit('rdtsc').emit('shl', rdx, 32).emit('or', rax, rdx);
}

/** Counts the thread as done; the last writes a byte, and touches the control block no more. */
function tellIfLast(a: X64Assembler): void {
  const others = a.label();
  a.emit('mov', r32(3), word(CONTROL.pipe)).emit('mov', r32(5), word(CONTROL.threads));
  a.emit('mov', r32(0), 1).emit('lock_xadd', word(CONTROL.finished), r32(0));
  a.emit('add', r32(0), 1).emit('cmp', r32(0), r32(5)).branch('ne', others);
  a.emit('mov', r32(0), SYSTEM.write).emit('mov', r32(7), r32(3)).emit('mov', rsi, rsp);
  a.emit('mov', r32(2), 1).emit('syscall');
  a.bind(others);
}

/** The last thread of an abandoned pool unmaps the device's memory and closes the pipe. */
function freeIfLast(a: X64Assembler, end: ReturnType<X64Assembler['label']>): void {
  const each = a.label();
  const closing = a.label();
  const [count, at] = [r32(13), r64(14)];
  a.emit('mov', r32(5), word(CONTROL.threads)).emit('mov', r32(3), word(CONTROL.pipe));
  a.emit('mov', r32(0), 1).emit('lock_xadd', word(CONTROL.left), r32(0));
  a.emit('add', r32(0), 1).emit('cmp', r32(0), r32(5)).branch('ne', end);
  unmapFiles(a);
  a.emit('mov', count, word(CONTROL.legacyCount));
  a.emit('lea', at, mem(control, CONTROL.legacy));
  a.bind(each);
  a.emit('test', count, count).branch('e', closing);
  a.emit('mov', rdi, mem(at, 0)).emit('mov', rsi, mem(at, 8));
  a.emit('mov', r32(0), SYSTEM.munmap).emit('syscall');
  a.emit('add', at, 16).emit('sub', count, 1).jump(each);
  a.bind(closing);
  a.emit('mov', r32(0), SYSTEM.close).emit('mov', r32(7), r32(3)).emit('syscall');
  a.jump(end);
}

/** Unmaps the files that the device has mapped, and frees their entries. */
function unmapFiles(a: X64Assembler): void {
  const [each, next, done] = [a.label(), a.label(), a.label()];
  const [left, entry, owner] = [r32(13), r64(14), r32(15)];
  const field = (offset: number, bits: 32 | 64) => mem(entry, offset, { bits });
  a.emit('mov', entry, long(CONTROL.faults)).emit('test', entry, entry).branch('e', done);
  a.emit('mov', left, mem(entry, FAULTS.used)).emit('add', entry, FAULTS.entries);
  a.emit('mov', owner, word(CONTROL.owner));
  a.bind(each);
  a.emit('test', left, left).branch('e', done);
  a.emit('cmp', owner, field(FAULT_ENTRY.owner, 32)).branch('ne', next);
  a.emit('mov', rdi, field(FAULT_ENTRY.start, 64)).emit('mov', rsi, field(FAULT_ENTRY.end, 64));
  a.emit('sub', rsi, rdi);
  // The entry goes first: a fault at an address that is used anew is none of ours.
  a.emit('mov', field(FAULT_ENTRY.end, 64), 0).emit('mov', field(FAULT_ENTRY.start, 64), 0);
  a.emit('mov', r32(0), SYSTEM.munmap).emit('syscall');
  a.emit('mov', field(FAULT_ENTRY.owner, 32), 0);
  a.bind(next);
  a.emit('add', entry, FAULT_ENTRY.bytes).emit('sub', left, 1).jump(each);
  a.bind(done);
}

function postCommand(a: X64Assembler): void {
  const done = a.label();
  const word = (offset: number) => mem(rdi, offset, { bits: 32 });
  a.emit('lock_add', word(CONTROL.command), 1);
  a.emit('cmp', word(CONTROL.asleep), 0).branch('e', done);
  a.emit('mov', r32(0), SYSTEM.futex).emit('add', rdi, CONTROL.command);
  a.emit('mov', r32(6), FUTEX_WAKE_PRIVATE).emit('mov', r32(2), 0x7fffffff).emit('syscall');
  a.bind(done);
  a.emit('ret');
}
