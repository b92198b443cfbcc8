import { CONDITIONS, type Condition } from '../condition.ts';
import type { Row } from '../form.ts';

/** add, or, adc, sbb, and, sub, xor, cmp: eight operations with the same forms. */
function arithmetic(number: number): readonly string[] {
  const opcode = (offset: number) => (number * 8 + offset).toString(16);
  return [
    `r8/m8! i8 : legacy 80/${number}`,
    `G/m! i8s : legacy 83/${number}`,
    `G/m! iz : legacy 81/${number}`,
    `r8/m8 r8 : legacy ${opcode(0)} mr`,
    `G/m G : legacy ${opcode(1)} mr`,
    `r8 m8 : legacy ${opcode(2)} rm`,
    `G m : legacy ${opcode(3)} rm`,
  ];
}

/** The same in memory, for all threads at once. */
function lockedArithmetic(number: number): readonly string[] {
  const opcode = (offset: number) => (number * 8 + offset).toString(16);
  return [
    `m8! i8 : legacy 80/${number} lock`,
    `m16! i8s : legacy.66 83/${number} lock`,
    `m32! i8s : legacy 83/${number} lock`,
    `m64! i8s : legacy.w1 83/${number} lock`,
    `m16! i16 : legacy.66 81/${number} lock`,
    `m32! i32u : legacy 81/${number} lock`,
    `m64! i32 : legacy.w1 81/${number} lock`,
    `m8 r8 : legacy ${opcode(0)} mr lock`,
    `m G : legacy ${opcode(1)} mr lock`,
  ];
}

const shift = (extension: number): readonly string[] => [
  `r8/m8! i8 : legacy C0/${extension}`,
  `G/m! i8 : legacy C1/${extension}`,
  `r8/m8! cl : legacy D2/${extension}`,
  `G/m! cl : legacy D3/${extension}`,
];

const unary = (extension: number): readonly string[] => [
  `r8/m8! : legacy F6/${extension}`,
  `G/m! : legacy F7/${extension}`,
];

type Conditional<P extends string> = Record<`${P}${Condition}`, string>;

/** One row for each condition. */
function conditional<P extends string>(name: P, row: (code: string) => string): Conditional<P> {
  const entries = Object.entries(CONDITIONS);
  return Object.fromEntries(
    entries.map(([condition, code]) => [name + condition, row(code.toString(16))]),
  ) as Conditional<P>;
}

/** Integers, addresses and control. Jumps to labels are methods of the assembler. */
export const GENERAL = {
  mov: [
    'r8/m8 r8 : legacy 88 mr',
    'G/m G : legacy 89 mr',
    'r8 m8 : legacy 8A',
    'G m : legacy 8B',
    'r8 i8 : legacy B0 o',
    'r16 i16 : legacy.66 B8 o',
    'r32 i32u : legacy B8 o',
    'r64 i32 : legacy.w1 C7/0',
    'r64 i64 : legacy.w1 B8 o',
    'm8! i8 : legacy C6/0',
    'm16! i16 : legacy.66 C7/0',
    'm32! i32u : legacy C7/0',
    'm64! i32 : legacy.w1 C7/0',
  ],
  movzx: ['G r8/m8! : legacy.0f B6', 'D r16/m16! : legacy.0f B7'],
  movsx: ['G r8/m8! : legacy.0f BE', 'D r16/m16! : legacy.0f BF'],
  movsxd: 'r64 r32/m32 : legacy.w1 63',
  lea: 'G m : legacy 8D',
  xchg: ['r8/m8 r8 : legacy 86 mr', 'G/m G : legacy 87 mr'],
  push: ['r64 : legacy 50 o', 'i8s : legacy 6A', 'i32 : legacy 68', 'm64 : legacy FF/6'],
  pop: ['r64 : legacy 58 o', 'm64 : legacy 8F/0'],

  add: arithmetic(0),
  or: arithmetic(1),
  adc: arithmetic(2),
  sbb: arithmetic(3),
  and: arithmetic(4),
  sub: arithmetic(5),
  xor: arithmetic(6),
  cmp: arithmetic(7),
  test: [
    'r8/m8 r8 : legacy 84 mr',
    'G/m G : legacy 85 mr',
    'r8/m8! i8 : legacy F6/0',
    'G/m! iz : legacy F7/0',
  ],
  imul: ['G G/m : legacy.0f AF', 'G G/m i8s : legacy 6B', 'G G/m iz : legacy 69', ...unary(5)],
  mul: unary(4),
  div: unary(6),
  idiv: unary(7),
  neg: unary(3),
  not: unary(2),
  inc: ['r8/m8! : legacy FE/0', 'G/m! : legacy FF/0'],
  dec: ['r8/m8! : legacy FE/1', 'G/m! : legacy FF/1'],
  cdq: ': legacy 99',
  cqo: ': legacy.w1 99',
  bswap: 'D : legacy.0f C8 o',

  rol: shift(0),
  ror: shift(1),
  shl: shift(4),
  shr: shift(5),
  sar: shift(7),
  shlx: 'D D/m D : vex.66.0f38 F7 rmv',
  shrx: 'D D/m D : vex.f2.0f38 F7 rmv',
  sarx: 'D D/m D : vex.f3.0f38 F7 rmv',
  rorx: 'D D/m i8 : vex.f2.0f3a F0',
  andn: 'D D D/m : vex.0f38 F2',
  bzhi: 'D D/m D : vex.0f38 F5 rmv',
  bextr: 'D D/m D : vex.0f38 F7 rmv',
  pdep: 'D D D/m : vex.f2.0f38 F5',
  pext: 'D D D/m : vex.f3.0f38 F5',
  mulx: 'D D D/m : vex.f2.0f38 F6',
  bsf: 'G G/m : legacy.0f BC',
  bsr: 'G G/m : legacy.0f BD',
  tzcnt: 'G G/m : legacy.f3.0f BC',
  lzcnt: 'G G/m : legacy.f3.0f BD',
  popcnt: 'G G/m : legacy.f3.0f B8',

  ...conditional('cmov', (code) => `G G/m : legacy.0f 4${code}`),
  ...conditional('set', (code) => `r8/m8 : legacy.0f 9${code}/0`),
  call: 'r64/m64 : legacy FF/2',
  jmp: 'r64/m64 : legacy FF/4',
  ret: ': legacy C3',
  endbr64: ': legacy.f3.0f 1E =FA',
  nop: ': legacy 90',
  int3: ': legacy CC',
  ud2: ': legacy.0f 0B',
  syscall: ': legacy.0f 05',
  cpuid: ': legacy.0f A2',
  xgetbv: ': legacy.0f 01 =D0',
  rdtsc: ': legacy.0f 31',

  xadd: ['r8/m8 r8 : legacy.0f C0 mr', 'G/m G : legacy.0f C1 mr'],
  cmpxchg: ['r8/m8 r8 : legacy.0f B0 mr', 'G/m G : legacy.0f B1 mr'],
  lock_xadd: ['m8 r8 : legacy.0f C0 mr lock', 'm G : legacy.0f C1 mr lock'],
  lock_cmpxchg: ['m8 r8 : legacy.0f B0 mr lock', 'm G : legacy.0f B1 mr lock'],
  lock_add: lockedArithmetic(0),
  lock_or: lockedArithmetic(1),
  lock_and: lockedArithmetic(4),
  lock_sub: lockedArithmetic(5),
  lock_xor: lockedArithmetic(6),
  pause: ': legacy.f3 90',
  lfence: ': legacy.0f AE =E8',
  mfence: ': legacy.0f AE =F0',
  sfence: ': legacy.0f AE =F8',

  prefetchnta: 'm : legacy.0f 18/0',
  prefetcht0: 'm : legacy.0f 18/1',
  prefetcht1: 'm : legacy.0f 18/2',
  prefetcht2: 'm : legacy.0f 18/3',
  prefetchw: 'm : legacy.0f 0D/1',
} as const satisfies Record<string, Row>;
