import { mem, r32, r64, rax, rdi, rdx, rsi, rsp, X64Assembler } from '../../asm/index.ts';

/** Words of the table of mapped files that the handler reads; byte offsets. */
export const FAULTS = {
  /** i32: entries that have ever been in use. */
  used: 0,
  /** i32: faults so far. */
  count: 4,
  /** i32: number of the last device that has joined. */
  owners: 8,
  entries: 64,
} as const;

/** An entry: u64 first address, u64 the end, i32 faulted, i32 number of its device or 0: free. */
export const FAULT_ENTRY = { start: 0, end: 8, faulted: 16, owner: 20, bytes: 32 } as const;

/**
 * The first instruction of a handler of ours loads this number, the second the address of its table:
 * both have the form REX.W B8 and 8 bytes. So one is known that another thread of JavaScript, or
 * another copy of this library, has put up.
 */
const MAGIC = 0x13_7e75_0b05_5e11;
const MOVE_RAX = [0x48, 0xb8];
/** Bytes of a handler that `tableOfHandler` looks at. */
export const HANDLER_HEAD = 20;

/** The table of the handler that begins with these bytes, or undefined: it is not one of ours. */
export function tableOfHandler(head: Uint8Array): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset, HANDLER_HEAD);
  const isMove = (at: number) => MOVE_RAX.every((byte, i) => head[at + i] === byte);
  if (!isMove(0) || !isMove(10) || view.getBigUint64(2, true) !== BigInt(MAGIC)) return undefined;
  return Number(view.getBigUint64(12, true));
}

const SYSTEM = { mmap: 9, rtSigaction: 13, getpid: 39, gettid: 186, tgkill: 234 } as const;
const SIGBUS = 7;
const ENTRY = FAULT_ENTRY;

/**
 * The handler of SIGBUS, which a file raises that was cut short while it is mapped. A fault inside a
 * mapped piece is noted there, and zeros take the place of what is missing, so that the step comes to
 * its end. Any other fault goes to the handler that was there before.
 *
 * @param table address of the table of mapped pieces
 * @param previous address of the earlier handler; 0: what the system does by itself
 */
export function faultHandler(table: number, previous: number): Uint8Array<ArrayBuffer> {
  const a = new X64Assembler();
  const [loop, next, found, other] = Array.from({ length: 4 }, () => a.label());
  a.emit('mov', rax, MAGIC).emit('mov', rax, table);
  const [entry, left, address] = [r64(8), r32(9), r64(10)];
  // si_code of what the kernel raises is above 0; only then is there an address.
  a.emit('cmp', mem(rsi, 8, { bits: 32 }), 0).branch('le', other);
  a.emit('mov', address, mem(rsi, 16));
  a.emit('mov', left, mem(rax, FAULTS.used)).emit('lea', entry, mem(rax, FAULTS.entries));
  a.bind(loop);
  a.emit('test', left, left).branch('e', other);
  a.emit('cmp', address, mem(entry, ENTRY.start)).branch('b', next);
  a.emit('cmp', address, mem(entry, ENTRY.end)).branch('b', found);
  a.bind(next);
  a.emit('add', entry, ENTRY.bytes).emit('sub', left, 1).jump(loop);

  a.bind(found);
  a.emit('mov', mem(entry, ENTRY.faulted, { bits: 32 }), 1);
  a.emit('lock_add', mem(rax, FAULTS.count, { bits: 32 }), 1);
  // Zeros from the page of the fault on: what lies behind it in the file is missing, too.
  for (const register of [rdi, rsi, rdx]) a.emit('push', register);
  a.emit('mov', rdi, address).emit('and', rdi, -4096);
  a.emit('mov', rsi, mem(entry, ENTRY.end)).emit('sub', rsi, rdi);
  a.emit('mov', r32(2), 3).emit('mov', r32(10), 0x32).emit('mov', r64(8), -1);
  a.emit('xor', r32(9), r32(9)).emit('mov', r32(0), SYSTEM.mmap).emit('syscall');
  for (const register of [rdx, rsi, rdi]) a.emit('pop', register);
  a.emit('cmp', rax, -4095).branch('ae', other);
  a.emit('ret');

  a.bind(other);
  if (previous !== 0) {
    return a.emit('mov', rax, previous).emit('jmp', rax).bytes();
  }
  // The default action takes its place, and the signal comes again when this returns.
  a.emit('sub', rsp, 40);
  a.emit('xor', r32(0), r32(0));
  for (let i = 0; i < 4; i++) a.emit('mov', mem(rsp, 8 * i), rax);
  a.emit('mov', rsi, rsp).emit('xor', r32(2), r32(2)).emit('mov', r64(10), 8);
  a.emit('mov', r32(7), SIGBUS).emit('mov', r32(0), SYSTEM.rtSigaction).emit('syscall');
  a.emit('mov', r32(0), SYSTEM.getpid).emit('syscall').emit('mov', rdi, rax);
  a.emit('mov', r32(0), SYSTEM.gettid).emit('syscall').emit('mov', rsi, rax);
  a.emit('mov', r32(2), SIGBUS).emit('mov', r32(0), SYSTEM.tgkill).emit('syscall');
  a.emit('add', rsp, 40).emit('ret');
  return a.bytes();
}
