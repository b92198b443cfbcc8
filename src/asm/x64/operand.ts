import type { Mem } from './memory.ts';
import type { Gpr, MaskReg, Tile, Vec } from './registers.ts';

/** A number is an immediate, which is always the last operand. */
export type Operand = Gpr | Vec | MaskReg | Tile | Mem | number;

/**
 * What an operand can stand for, one bit each. A form of an instruction accepts a set of them for
 * each of its operands, so that a form is found by a few bitwise ands.
 */
export const CLASS = {
  r8: 1 << 0,
  r16: 1 << 1,
  r32: 1 << 2,
  r64: 1 << 3,
  cl: 1 << 4,
  /** Vector registers 0..15, which VEX can name. */
  x: 1 << 5,
  y: 1 << 6,
  z: 1 << 7,
  /** Vector registers 16..31, for EVEX only. */
  xHigh: 1 << 8,
  yHigh: 1 << 9,
  zHigh: 1 << 10,
  k: 1 << 11,
  tmm: 1 << 12,
  /** Memory whose size is not said. */
  m: 1 << 13,
  m8: 1 << 14,
  m16: 1 << 15,
  m32: 1 << 16,
  m64: 1 << 17,
  broadcast: 1 << 18,
  /** Memory with a vector of indices, by the vector's width. */
  vx: 1 << 19,
  vy: 1 << 20,
  vz: 1 << 21,
  vxHigh: 1 << 22,
  vyHigh: 1 << 23,
  vzHigh: 1 << 24,
  /** Immediates. A byte that is extended by its sign: -128..127. */
  i8s: 1 << 25,
  /** Eight bits, however they are read: -128..255. */
  i8: 1 << 26,
  i16: 1 << 27,
  /** 32 bits that are extended by their sign. */
  i32: 1 << 28,
  /** 32 bits, however they are read. */
  i32u: 1 << 29,
  i64: 1 << 30,
} as const;

/** All classes that an operand belongs to; 0 where it is nothing that any form takes. */
export function classOf(operand: Operand): number {
  if (typeof operand === 'number') return classOfImmediate(operand);
  switch (operand.kind) {
    case 'vec': {
      const width = operand.bits === 512 ? CLASS.z : operand.bits === 256 ? CLASS.y : CLASS.x;
      return operand.id < 16 ? width : width << 3;
    }
    case 'gpr':
      if (operand.bits === 64) return CLASS.r64;
      if (operand.bits === 32) return CLASS.r32;
      if (operand.bits === 16) return CLASS.r16;
      return operand.id === 1 ? CLASS.r8 | CLASS.cl : CLASS.r8;
    case 'mem':
      return classOfMemory(operand);
    case 'k':
      return CLASS.k;
    case 'tmm':
      return CLASS.tmm;
    default:
      return 0;
  }
}

function classOfMemory({ vindex, broadcast, bits }: Mem): number {
  if (vindex) {
    if (broadcast) return 0;
    const width = vindex.bits === 512 ? CLASS.vz : vindex.bits === 256 ? CLASS.vy : CLASS.vx;
    return vindex.id < 16 ? width : width << 3;
  }
  if (broadcast) return CLASS.broadcast;
  switch (bits) {
    case 8:
      return CLASS.m8;
    case 16:
      return CLASS.m16;
    case 32:
      return CLASS.m32;
    case 64:
      return CLASS.m64;
    default:
      return CLASS.m;
  }
}

function classOfImmediate(value: number): number {
  if (!Number.isSafeInteger(value)) return 0;
  let found: number = CLASS.i64;
  if (value >= -(2 ** 31) && value < 2 ** 32) {
    found |= CLASS.i32u;
    if (value < 2 ** 31) found |= CLASS.i32;
    if (value >= -(2 ** 15) && value < 2 ** 16) found |= CLASS.i16;
    if (value >= -128 && value < 256) found |= CLASS.i8;
    if (value >= -128 && value < 128) found |= CLASS.i8s;
  }
  return found;
}
