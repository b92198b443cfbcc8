import { mem, r64, rax, rbp, rbx, rcx, rdi, rdx, rsi, X64Assembler } from '../../src/asm/index.ts';
import { nativeRuntime } from '../../src/device/native/support.ts';
import { mapPages } from '../../src/device/native/system.ts';

/** Registers that belong to the caller, with what stands in them during a call. */
const SAVED = [rbx, rbp, r64(12), r64(13), r64(14), r64(15)];
const marks = SAVED.map((_, i) => 0x5a5a0000 + i);

/** Words of the block that a call is described by. */
const [TARGET, ARGUMENTS, RESULT, CHANGED] = [0, 1, 6, 7];
const WORDS = 8;

function stub(): Uint8Array {
  const a = new X64Assembler();
  for (const register of SAVED) a.emit('push', register);
  a.emit('push', rdi).emit('mov', rax, rdi);
  SAVED.forEach((register, i) => {
    a.emit('mov', register, marks[i]);
  });
  const word = (i: number) => mem(rax, 8 * i);
  a.emit('mov', rdi, word(ARGUMENTS)).emit('mov', rsi, word(ARGUMENTS + 1));
  a.emit('mov', rdx, word(ARGUMENTS + 2)).emit('mov', rcx, word(ARGUMENTS + 3));
  a.emit('mov', r64(8), word(ARGUMENTS + 4)).emit('call', mem(rax, 0, { bits: 64 }));
  a.emit('pop', rdi)
    .emit('mov', mem(rdi, 8 * RESULT), rax)
    .emit('mov', rax, 0);
  SAVED.forEach((register, i) => {
    a.emit('mov', rcx, marks[i]).emit('xor', register, rcx).emit('or', rax, register);
  });
  a.emit('mov', mem(rdi, 8 * CHANGED), rax);
  for (const register of [...SAVED].reverse()) a.emit('pop', register);
  a.emit('ret');
  return a.bytes();
}

export type GuardedCall = (address: number, ...five: readonly number[]) => number;

let call: GuardedCall | undefined;

/**
 * Calls machine code with up to five integers and gives its result.
 *
 * @throws Error where it changed a register that belongs to its caller
 */
export function guardedCall(): GuardedCall {
  if (call) return call;
  const runtime = nativeRuntime();
  const { system } = runtime;
  const enter = runtime.callAt(runtime.code.install(stub()));
  const block = mapPages(system, 4096);
  const words = new BigUint64Array(system.koffi.view(block, 8 * WORDS));
  call = (address, ...five) => {
    words.fill(0n);
    words[TARGET] = BigInt(address);
    five.forEach((x, i) => {
      words[ARGUMENTS + i] = BigInt(x);
    });
    enter(block);
    if (words[CHANGED] !== 0n) throw new Error('a register of the caller was changed');
    return Number(BigInt.asIntN(32, words[RESULT]));
  };
  return call;
}
