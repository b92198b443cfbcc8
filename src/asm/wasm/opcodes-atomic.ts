import type { InstructionRow } from './row.ts';
import { I, II, III, IIL, IL, ILL, L, O, row } from './row.ts';
import type { ValType } from './types.ts';

type Types = readonly ValType[];

const atomic = (number: number, width: number, params: Types, results: Types) =>
  row([0xfe, number], 'memory', params, results, { width, exactAlign: true });

/** Atomic memory accesses (threads proposal, prefix 0xfe); their alignment is the natural one. */
export const ATOMIC_INSTRUCTIONS = {
  // Waiting and ordering. The tail of the fence is a reserved byte.
  'memory.atomic.notify': atomic(0x00, 4, II, I),
  'memory.atomic.wait32': atomic(0x01, 4, IIL, I),
  'memory.atomic.wait64': atomic(0x02, 8, ILL, I),
  'atomic.fence': row([0xfe, 0x03], 'none', O, O, { tail: [0x00] }),

  // Loads and stores.
  'i32.atomic.load': atomic(0x10, 4, I, I),
  'i64.atomic.load': atomic(0x11, 8, I, L),
  'i32.atomic.load8_u': atomic(0x12, 1, I, I),
  'i32.atomic.load16_u': atomic(0x13, 2, I, I),
  'i64.atomic.load8_u': atomic(0x14, 1, I, L),
  'i64.atomic.load16_u': atomic(0x15, 2, I, L),
  'i64.atomic.load32_u': atomic(0x16, 4, I, L),
  'i32.atomic.store': atomic(0x17, 4, II, O),
  'i64.atomic.store': atomic(0x18, 8, IL, O),
  'i32.atomic.store8': atomic(0x19, 1, II, O),
  'i32.atomic.store16': atomic(0x1a, 2, II, O),
  'i64.atomic.store8': atomic(0x1b, 1, IL, O),
  'i64.atomic.store16': atomic(0x1c, 2, IL, O),
  'i64.atomic.store32': atomic(0x1d, 4, IL, O),

  // Read, modify, write: the result is the old value.
  'i32.atomic.rmw.add': atomic(0x1e, 4, II, I),
  'i64.atomic.rmw.add': atomic(0x1f, 8, IL, L),
  'i32.atomic.rmw8.add_u': atomic(0x20, 1, II, I),
  'i32.atomic.rmw16.add_u': atomic(0x21, 2, II, I),
  'i64.atomic.rmw8.add_u': atomic(0x22, 1, IL, L),
  'i64.atomic.rmw16.add_u': atomic(0x23, 2, IL, L),
  'i64.atomic.rmw32.add_u': atomic(0x24, 4, IL, L),
  'i32.atomic.rmw.sub': atomic(0x25, 4, II, I),
  'i64.atomic.rmw.sub': atomic(0x26, 8, IL, L),
  'i32.atomic.rmw8.sub_u': atomic(0x27, 1, II, I),
  'i32.atomic.rmw16.sub_u': atomic(0x28, 2, II, I),
  'i64.atomic.rmw8.sub_u': atomic(0x29, 1, IL, L),
  'i64.atomic.rmw16.sub_u': atomic(0x2a, 2, IL, L),
  'i64.atomic.rmw32.sub_u': atomic(0x2b, 4, IL, L),
  'i32.atomic.rmw.and': atomic(0x2c, 4, II, I),
  'i64.atomic.rmw.and': atomic(0x2d, 8, IL, L),
  'i32.atomic.rmw8.and_u': atomic(0x2e, 1, II, I),
  'i32.atomic.rmw16.and_u': atomic(0x2f, 2, II, I),
  'i64.atomic.rmw8.and_u': atomic(0x30, 1, IL, L),
  'i64.atomic.rmw16.and_u': atomic(0x31, 2, IL, L),
  'i64.atomic.rmw32.and_u': atomic(0x32, 4, IL, L),
  'i32.atomic.rmw.or': atomic(0x33, 4, II, I),
  'i64.atomic.rmw.or': atomic(0x34, 8, IL, L),
  'i32.atomic.rmw8.or_u': atomic(0x35, 1, II, I),
  'i32.atomic.rmw16.or_u': atomic(0x36, 2, II, I),
  'i64.atomic.rmw8.or_u': atomic(0x37, 1, IL, L),
  'i64.atomic.rmw16.or_u': atomic(0x38, 2, IL, L),
  'i64.atomic.rmw32.or_u': atomic(0x39, 4, IL, L),
  'i32.atomic.rmw.xor': atomic(0x3a, 4, II, I),
  'i64.atomic.rmw.xor': atomic(0x3b, 8, IL, L),
  'i32.atomic.rmw8.xor_u': atomic(0x3c, 1, II, I),
  'i32.atomic.rmw16.xor_u': atomic(0x3d, 2, II, I),
  'i64.atomic.rmw8.xor_u': atomic(0x3e, 1, IL, L),
  'i64.atomic.rmw16.xor_u': atomic(0x3f, 2, IL, L),
  'i64.atomic.rmw32.xor_u': atomic(0x40, 4, IL, L),
  'i32.atomic.rmw.xchg': atomic(0x41, 4, II, I),
  'i64.atomic.rmw.xchg': atomic(0x42, 8, IL, L),
  'i32.atomic.rmw8.xchg_u': atomic(0x43, 1, II, I),
  'i32.atomic.rmw16.xchg_u': atomic(0x44, 2, II, I),
  'i64.atomic.rmw8.xchg_u': atomic(0x45, 1, IL, L),
  'i64.atomic.rmw16.xchg_u': atomic(0x46, 2, IL, L),
  'i64.atomic.rmw32.xchg_u': atomic(0x47, 4, IL, L),
  'i32.atomic.rmw.cmpxchg': atomic(0x48, 4, III, I),
  'i64.atomic.rmw.cmpxchg': atomic(0x49, 8, ILL, L),
  'i32.atomic.rmw8.cmpxchg_u': atomic(0x4a, 1, III, I),
  'i32.atomic.rmw16.cmpxchg_u': atomic(0x4b, 2, III, I),
  'i64.atomic.rmw8.cmpxchg_u': atomic(0x4c, 1, ILL, L),
  'i64.atomic.rmw16.cmpxchg_u': atomic(0x4d, 2, ILL, L),
  'i64.atomic.rmw32.cmpxchg_u': atomic(0x4e, 4, ILL, L),
} as const satisfies Record<string, InstructionRow>;
