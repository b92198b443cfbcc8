import { badArgument } from '../../base/errors.ts';

/** A general register; 8 bits mean the low byte, so 4..7 are spl, bpl, sil and dil. */
export interface Gpr {
  readonly kind: 'gpr';
  /** 0..15 */
  readonly id: number;
  readonly bits: 8 | 16 | 32 | 64;
}

/** xmm, ymm or zmm; 16..31 exist with AVX-512 only. */
export interface Vec {
  readonly kind: 'vec';
  /** 0..31 */
  readonly id: number;
  readonly bits: 128 | 256 | 512;
}

/** A mask register of AVX-512; k0 cannot be a write mask. */
export interface MaskReg {
  readonly kind: 'k';
  /** 0..7 */
  readonly id: number;
}

/** A tile register of AMX. */
export interface Tile {
  readonly kind: 'tmm';
  /** 0..7 */
  readonly id: number;
}

function gprs(bits: Gpr['bits']): readonly Gpr[] {
  return Array.from({ length: 16 }, (_, id) => Object.freeze({ kind: 'gpr' as const, id, bits }));
}

function vecs(bits: Vec['bits']): readonly Vec[] {
  return Array.from({ length: 32 }, (_, id) => Object.freeze({ kind: 'vec' as const, id, bits }));
}

const R64 = gprs(64);
const R32 = gprs(32);
const R16 = gprs(16);
const R8 = gprs(8);
const XMM = vecs(128);
const YMM = vecs(256);
const ZMM = vecs(512);
const MASKS: readonly MaskReg[] = Array.from({ length: 8 }, (_, id) =>
  Object.freeze({ kind: 'k' as const, id }),
);
const TILES: readonly Tile[] = Array.from({ length: 8 }, (_, id) =>
  Object.freeze({ kind: 'tmm' as const, id }),
);

function pick<T>(file: readonly T[], name: string, id: number): T {
  const register = file[id];
  if (!register) throw badArgument(name, 'id', id, `an integer from 0 to ${file.length - 1}`);
  return register;
}

export const r64 = (id: number): Gpr => pick(R64, 'r64', id);
export const r32 = (id: number): Gpr => pick(R32, 'r32', id);
export const r16 = (id: number): Gpr => pick(R16, 'r16', id);
export const r8 = (id: number): Gpr => pick(R8, 'r8', id);
export const xmm = (id: number): Vec => pick(XMM, 'xmm', id);
export const ymm = (id: number): Vec => pick(YMM, 'ymm', id);
export const zmm = (id: number): Vec => pick(ZMM, 'zmm', id);
export const k = (id: number): MaskReg => pick(MASKS, 'k', id);
export const tmm = (id: number): Tile => pick(TILES, 'tmm', id);

/** A vector register of a width that the caller computes. */
export function vec(id: number, bits: Vec['bits']): Vec {
  return bits === 512 ? zmm(id) : bits === 256 ? ymm(id) : xmm(id);
}

export const rax: Gpr = R64[0];
export const rcx: Gpr = R64[1];
export const rdx: Gpr = R64[2];
export const rbx: Gpr = R64[3];
export const rsp: Gpr = R64[4];
export const rbp: Gpr = R64[5];
export const rsi: Gpr = R64[6];
export const rdi: Gpr = R64[7];
