import { mem, r32, r64, rax, rbx, rdi, rdx, X64Assembler } from '../../asm/index.ts';

/** What the processor can do, of what kernels ask for; the system saves the registers for it. */
export interface X64Features {
  /** Of AMD: its processors multiply pairs of bf16 twice as fast as floats. */
  readonly amd: boolean;
  readonly avx2: boolean;
  readonly fma: boolean;
  readonly f16c: boolean;
  readonly bmi2: boolean;
  readonly avxVnni: boolean;
  /** F, BW, DQ, VL and CD. */
  readonly avx512: boolean;
  readonly avx512Vnni: boolean;
  readonly avx512Bf16: boolean;
  readonly avx512Vbmi: boolean;
  readonly amxTile: boolean;
  readonly amxInt8: boolean;
  readonly amxBf16: boolean;
}

/** Answers of CPUID, four u32 (eax, ebx, ecx, edx) for each of these leaves, then XCR0 (u32). */
const LEAVES = [
  [0, 0],
  [1, 0],
  [7, 0],
  [7, 1],
] as const;
export const CPUID_WORDS = LEAVES.length * 4 + 1;

/** Code that writes the answers to the address in rdi. */
export function cpuidCode(): Uint8Array<ArrayBuffer> {
  const a = new X64Assembler();
  const out = r64(8);
  const done = a.label();
  a.emit('push', rbx).emit('mov', out, rdi);
  LEAVES.forEach(([leaf, subleaf], i) => {
    a.emit('mov', r32(0), leaf).emit('mov', r32(1), subleaf).emit('cpuid');
    [0, 3, 1, 2].forEach((id, word) => {
      a.emit('mov', mem(out, 16 * i + 4 * word), r32(id));
    });
  });
  // XGETBV exists where leaf 1 says OSXSAVE (bit 27 of ecx); else XCR0 stays 0.
  a.emit('test', mem(out, 16 + 8, { bits: 32 }), 1 << 27).branch('e', done);
  a.emit('xor', r32(1), r32(1)).emit('xgetbv');
  a.emit('mov', mem(out, 16 * LEAVES.length), r32(0));
  a.bind(done);
  a.emit('pop', rbx).emit('ret');
  return a.bytes();
}

/** Code that returns the processor's clock, to find how fast it ticks. */
export function clockCode(): Uint8Array<ArrayBuffer> {
  const a = new X64Assembler();
  a.emit('rdtsc').emit('shl', rdx, 32).emit('or', rax, rdx).emit('ret');
  return a.bytes();
}

/** "AuthenticAMD" in three words. */
const [AUTH, ENTI, CAMD] = ['Auth', 'enti', 'cAMD'].map((text) =>
  [...text].reduce((word, c, i) => word + c.charCodeAt(0) * 2 ** (8 * i), 0),
);

/** Reads the answers that `cpuidCode` has written. */
export function decodeFeatures(words: Uint32Array): X64Features {
  const leaves = words[0];
  const bit = (leaf: number, register: 'eax' | 'ebx' | 'ecx' | 'edx', n: number): boolean => {
    // A leaf beyond the last is answered with that of another.
    if (LEAVES[leaf][0] > leaves) return false;
    // Leaf 7 says itself how many parts it has.
    if (leaf === 3 && words[8] < 1) return false;
    const at = leaf * 4 + ['eax', 'ebx', 'ecx', 'edx'].indexOf(register);
    return ((words[at] >>> n) & 1) === 1;
  };
  const saved = (mask: number) => (words[LEAVES.length * 4] & mask) === mask;
  const ymm = saved(0b110);
  const zmm = saved(0b1110_0110);
  const tiles = saved(0b11 << 17);
  const avx = ymm && bit(1, 'ecx', 28);
  const avx512 = zmm && [16, 17, 28, 30, 31].every((n) => bit(2, 'ebx', n));
  // The vendor's name stands in ebx, edx, ecx of leaf 0.
  const amd = words[1] === AUTH && words[3] === ENTI && words[2] === CAMD;
  return {
    amd,
    avx2: avx && bit(2, 'ebx', 5),
    fma: avx && bit(1, 'ecx', 12),
    f16c: avx && bit(1, 'ecx', 29),
    bmi2: bit(2, 'ebx', 3) && bit(2, 'ebx', 8),
    avxVnni: avx && bit(3, 'eax', 4),
    avx512,
    avx512Vnni: avx512 && bit(2, 'ecx', 11),
    avx512Bf16: avx512 && bit(3, 'eax', 5),
    avx512Vbmi: avx512 && bit(2, 'ecx', 1),
    amxTile: tiles && bit(2, 'edx', 24),
    amxInt8: tiles && bit(2, 'edx', 25),
    amxBf16: tiles && bit(2, 'edx', 22),
  };
}
