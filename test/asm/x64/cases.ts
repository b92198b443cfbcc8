import type { Gpr, Label, Mem, Mnemonic, Operand } from '../../../src/asm/index.ts';
import {
  at,
  k,
  mem,
  r8,
  r16,
  r32,
  r64,
  rax,
  rbp,
  rbx,
  rcx,
  rsp,
  tmm,
  type Vec,
  X64_INSTRUCTIONS,
  X64Assembler,
  xmm,
  ymm,
  zmm,
} from '../../../src/asm/index.ts';
import type { Form } from '../../../src/asm/x64/form.ts';
import { formsOf } from '../../../src/asm/x64/instructions.ts';
import { CLASS } from '../../../src/asm/x64/operand.ts';

/** One instruction with operands, and the form that is meant to encode it. */
export interface Case {
  readonly name: Mnemonic;
  readonly form: Form;
  readonly operands: readonly Operand[];
  readonly mask: number;
  readonly zeroing: boolean;
}

export const NAMES = Object.keys(X64_INSTRUCTIONS) as Mnemonic[];

const GENERAL = [0, 8, 3, 4, 7, 15, 12, 5, 13];
const LOW = [0, 7, 8, 15, 3];
const HIGH = [16, 31, 23, 24];

/** Addresses whose encodings differ; displacements are chosen around the ends of short ones. */
function addresses(unit: number, bits: Mem['bits'], broadcast: boolean, label: Label): Mem[] {
  const more = { bits, broadcast };
  const bases: Gpr[] = [rax, rsp, rbp, r64(12), r64(13), r64(15)];
  return [
    ...bases.map((base) => mem(base, 0, more)),
    mem(rax, unit, more),
    mem(rsp, 127 * unit, more),
    mem(rbp, -128 * unit, more),
    mem(r64(12), 128 * unit, more),
    mem(r64(13), -129 * unit, more),
    mem(rcx, unit + 1, more),
    mem(rbx, 0x12345678, more),
    mem(rax, 0, { ...more, index: rcx }),
    mem(rbp, 0, { ...more, index: r64(12), scale: 8 }),
    mem(r64(13), 4 * unit, { ...more, index: r64(13), scale: 2 }),
    mem(r64(8), -0x1000, { ...more, index: rbp, scale: 4 }),
    mem(undefined, 0x40, { ...more, index: r64(15), scale: 4 }),
    mem(undefined, 0x1000, more),
    at(label, 0, more),
    at(label, 12, more),
  ];
}

function indexedByVectors(unit: number, vectors: (id: number) => Vec, ids: number[]): Mem[] {
  return ids.flatMap((id) => [
    mem(rax, 0, { vindex: vectors(id), scale: 4 }),
    mem(r64(13), unit, { vindex: vectors(id), scale: 1 }),
    mem(rsp, -129 * unit, { vindex: vectors(id), scale: 8 }),
    mem(undefined, 64, { vindex: vectors(id), scale: 2 }),
  ]);
}

/** Values for an operand, one list after the other, of all that a form accepts. */
function samples(form: Form, accepted: number, label: Label): Operand[] {
  const has = (one: keyof typeof CLASS) => (accepted & CLASS[one]) !== 0;
  const list: Operand[] = [];
  if (has('r8')) list.push(...GENERAL.map(r8));
  if (has('r16')) list.push(...GENERAL.map(r16));
  if (has('r32')) list.push(...GENERAL.map(r32));
  if (has('r64')) list.push(...GENERAL.map(r64));
  if (has('cl') && !has('r8')) list.push(r8(1));
  for (const [low, high, vectors] of [
    ['x', 'xHigh', xmm],
    ['y', 'yHigh', ymm],
    ['z', 'zHigh', zmm],
  ] as const) {
    if (has(low)) list.push(...LOW.map(vectors));
    if (has(high)) list.push(...HIGH.map(vectors));
    const indexed = `v${low}` as const;
    if (has(indexed)) list.push(...indexedByVectors(form.unit, vectors, [1, 9]));
    if (has(`${indexed}High`)) list.push(...indexedByVectors(form.unit, vectors, [17, 30]));
  }
  if (has('k')) list.push(...[1, 7, 2, 0, 5].map(k));
  if (has('tmm')) list.push(...[0, 7, 3, 5, 1].map(tmm));
  for (const [name, bits] of [
    ['m8', 8],
    ['m16', 16],
    ['m32', 32],
    ['m64', 64],
  ] as const) {
    if (has(name) && !has('m')) list.push(...addresses(form.unit, bits, false, label));
  }
  if (has('m')) list.push(...addresses(form.unit, undefined, false, label));
  if (has('broadcast')) list.push(...addresses(form.w ? 8 : 4, undefined, true, label));
  if (form.sib) return list.filter((operand) => !isLabelled(operand));
  return [...list, ...immediates(form, accepted)];
}

function isLabelled(operand: Operand): boolean {
  return typeof operand === 'object' && operand.kind === 'mem' && operand.label !== undefined;
}

function immediates(form: Form, accepted: number): number[] {
  if (accepted & CLASS.i8s) return [0x12, -1, 127, -128, 1];
  // Comparisons have names of their own for the predicates 0..31, which a listing would show.
  if (accepted & CLASS.i8)
    return form.space === 'legacy' ? [0x12, 0x7f, 3] : [0x2a, 0x7f, 0xff, 0x21];
  if (accepted & CLASS.i16) return [0x1234, 0x7fff, -0x1234];
  if (accepted & CLASS.i32) return [0x12345678, -0x12345678, 128, -129];
  if (accepted & CLASS.i32u) return [0x12345678, 0xfedcba98, -0x12345678];
  if (accepted & CLASS.i64) return [0x123456789abcd, -0x123456789abcd, 2 ** 31];
  return [];
}

/** Every sample of every operand at least once; masks and zeroing go along where the form has them. */
export function casesOf(name: Mnemonic, form: Form, label: Label): Case[] {
  const lists = form.accepts.map((accepted) => samples(form, accepted, label));
  const count = Math.max(1, ...lists.map((list) => list.length));
  // Two registers of a gather must differ, so that operands do not walk in step.
  return Array.from({ length: count }, (_, turn) => {
    const operands = lists.map((list, i) => list[(turn + 2 * i) % list.length]);
    const first = operands[0];
    const toVector = typeof first === 'object' && first.kind === 'vec';
    const masked = form.mask === 'needed' || (form.mask === 'optional' && turn % 3 !== 0);
    return {
      name,
      form,
      operands,
      mask: masked ? 1 + (turn % 7) : 0,
      zeroing: masked && form.mask === 'optional' && toVector && turn % 3 === 2,
    };
  });
}

export function append(code: X64Assembler, { name, operands, mask, zeroing }: Case): X64Assembler {
  return mask ? code.masked(name, k(mask), zeroing, ...operands) : code.emit(name, ...operands);
}

/** One program with every case of the table: what it is made of, and a label in the middle. */
export function wholeTable(): { code: X64Assembler; cases: Case[] } {
  const code = new X64Assembler();
  const label = code.label();
  const cases = NAMES.flatMap((name) =>
    formsOf(name).flatMap((form) => casesOf(name, form, label)),
  );
  cases.forEach((one, i) => {
    if (i === cases.length >> 1) code.bind(label);
    append(code, one);
  });
  return { code, cases };
}

/** A few instructions of each row of the table, each alone in its program: its text and its bytes. */
export function goldenLines(): string[] {
  const lines: string[] = [];
  NAMES.forEach((name, n) => {
    const forms = formsOf(name);
    for (const [i, form] of forms.entries()) {
      // Of the sizes of a row the first and the last.
      const next = forms[i + 1];
      const previous = forms[i - 1];
      const inside = (other: Form | undefined) =>
        other?.source === form.source && other.space === form.space;
      if (inside(previous) && inside(next)) continue;
      const code = new X64Assembler();
      const label = code.label();
      const cases = casesOf(name, form, label);
      append(code, cases[(n * 7 + i) % cases.length]).bind(label);
      const [line] = code.text().split('\n');
      const digits = Array.from(code.bytes(), (byte) => byte.toString(16).padStart(2, '0'));
      lines.push(`${line.slice(9)} ; ${digits.join('')}`);
    }
  });
  return lines;
}
