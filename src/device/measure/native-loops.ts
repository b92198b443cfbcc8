import {
  at as atLabel,
  mem,
  r32,
  r64,
  rax,
  rcx,
  rdi,
  rsi,
  tmm,
  type Vec,
  vec,
  X64Assembler,
} from '../../asm/index.ts';

/** Rounds of all chains in one turn of an arithmetic loop. */
const ROUNDS = 4;
/** Places far apart from which a thread reads at once: more than one keeps more memory busy. */
const STREAMS = 4;
/** Cache lines that one turn reads from each place. */
const LINES = 2;
const LINE = 64;
/** The bytes that a thread reads or copies are a multiple of this. */
export const NATIVE_GRAIN = STREAMS * LINES * LINE;

export type Arithmetic = 'fma' | 'bf16' | 'int8';

/** Code of one loop, called as `run` of a program is. */
export interface MeasuringLoop {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Operations of a turn, multiplications and additions counted apart; 0: it moves memory. */
  readonly operations: number;
}

/**
 * Arithmetic on registers alone. Table: turns.
 *
 * @param bits of a vector: 512 or 256
 */
export function arithmeticLoop(kind: Arithmetic, bits: 256 | 512): MeasuringLoop {
  const a = new X64Assembler();
  // Each result is ready after four or five cycles, and two or so begin in each.
  const chains = bits === 512 ? 24 : 12;
  const [x, y] = [vec(chains, bits), vec(chains + 1, bits)];
  a.emit('mov', rax, mem(rdi, 0));
  // 1/2 and 1/4 as floats; as other types whatever they are, but the same in every lane.
  broadcast(a, x, kind === 'bf16' ? 0x3f00_3f00 : 0x3f00_0000);
  broadcast(a, y, kind === 'bf16' ? 0x3e80_3e80 : 0x3e80_0000);
  for (let i = 0; i < chains; i++) broadcast(a, vec(i, bits), kind === 'int8' ? i : 0x3f80_0000);
  const loop = a.align(32).label();
  a.bind(loop);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < chains; i++) {
      if (kind === 'fma') a.emit('vfmadd132ps', vec(i, bits), y, x);
      else if (kind === 'bf16') a.emit('vdpbf16ps', vec(i, bits), x, y);
      else a.emit(bits === 512 ? 'vpdpbusd' : 'vpdpbusd_vex', vec(i, bits), x, y);
    }
  }
  a.emit('sub', rax, 1).branch('ne', loop);
  const perLane = { fma: 1, bf16: 2, int8: 4 }[kind];
  return { bytes: end(a), operations: chains * ROUNDS * (bits / 32) * perLane * 2 };
}

/** Products of tiles of bf16, on registers alone: four sums of two by two tiles. Table: turns. */
export function tileLoop(): MeasuringLoop {
  const a = new X64Assembler();
  const sizes = new Uint8Array(64);
  // A palette of 8 tiles; each of 16 rows of 64 bytes.
  sizes[0] = 1;
  for (let tile = 0; tile < 8; tile++) [sizes[16 + 2 * tile], sizes[48 + tile]] = [64, 16];
  a.emit('mov', rax, mem(rdi, 0)).emit('ldtilecfg', atLabel(a.constant(sizes)));
  for (let tile = 0; tile < 8; tile++) a.emit('tilezero', tmm(tile));
  const loop = a.align(32).label();
  a.bind(loop);
  for (let round = 0; round < ROUNDS; round++) {
    for (let i = 0; i < 4; i++) a.emit('tdpbf16ps', tmm(i), tmm(4 + (i >> 1)), tmm(6 + (i & 1)));
  }
  a.emit('sub', rax, 1).branch('ne', loop).emit('tilerelease');
  return { bytes: end(a), operations: 4 * ROUNDS * 16 * 16 * 32 * 2 };
}

/** Reads all of a thread's part. Table: address, bytes of each thread's part. */
export function readLoop(bits: 256 | 512): MeasuringLoop {
  const a = new X64Assembler();
  const loads = (LINES * LINE * 8) / bits;
  const sums = Array.from({ length: STREAMS * loads }, (_, i) => vec(i, bits));
  for (const sum of sums) a.emit('vxorps', vec(sum.id, 128), vec(sum.id, 128), vec(sum.id, 128));
  const { at, loop } = eachLine(a);
  for (let line = 0; line < loads; line++) {
    for (let s = 0; s < STREAMS; s++) {
      const sum = sums[s * loads + line];
      a.emit('vaddps', sum, sum, mem(at(s), (line * bits) / 8));
    }
  }
  next(a, at, loop);
  return { bytes: end(a), operations: 0 };
}

/**
 * Copies the first half of a thread's part to the second, past the caches. Table: address, bytes of
 * each thread's part.
 */
export function copyLoop(bits: 256 | 512): MeasuringLoop {
  const a = new X64Assembler();
  // Half of the part in as many places: they reach half as far.
  const { at, loop, half } = eachLine(a, 2);
  const moves = (LINES * LINE * 8) / bits;
  for (let s = 0; s < STREAMS; s++) {
    for (let i = 0; i < moves; i++) {
      a.emit('vmovups', vec(i, bits), mem(at(s), (i * bits) / 8));
    }
    for (let i = 0; i < moves; i++) {
      a.emit('vmovntps', mem(at(s), (i * bits) / 8, { index: half }), vec(i, bits));
    }
  }
  next(a, at, loop);
  a.emit('mfence');
  return { bytes: end(a), operations: 0 };
}

function broadcast(a: X64Assembler, to: Vec, bits: number): void {
  a.emit('mov', r32(1), bits).emit('vmovd', vec(to.id, 128), r32(1));
  a.emit('vbroadcastss', to, vec(to.id, 128));
}

/**
 * Begins a loop over a thread's part, in several places at once.
 *
 * @param shares the part holds so many arrays of the same size; the first is gone through
 */
function eachLine(a: X64Assembler, shares = 1) {
  const at = (stream: number) => r64(8 + stream);
  const half = rsi;
  const loop = a.label();
  a.emit('mov', rcx, mem(rdi, 8)).emit('mov', r64(8), mem(rdi, 0));
  // Its own part: thread * bytes on.
  a.emit('mov', rax, rsi).emit('imul', rax, rcx).emit('add', r64(8), rax);
  a.emit('mov', half, rcx).emit('shr', half, 1);
  a.emit('shr', rcx, Math.log2(shares * STREAMS));
  for (let s = 1; s < STREAMS; s++) a.emit('lea', at(s), mem(at(s - 1), 0, { index: rcx }));
  a.emit('mov', rax, rcx);
  a.align(32).bind(loop);
  return { at, loop, half };
}

function next(
  a: X64Assembler,
  at: (stream: number) => ReturnType<typeof r64>,
  loop: ReturnType<X64Assembler['label']>,
): void {
  for (let s = 0; s < STREAMS; s++) a.emit('add', at(s), LINES * LINE);
  a.emit('sub', rax, LINES * LINE).branch('ne', loop);
}

function end(a: X64Assembler): Uint8Array<ArrayBuffer> {
  return a.emit('xor', r32(0), r32(0)).emit('vzeroupper').emit('ret').bytes();
}
