import { InternalError } from '../../base/errors.ts';
import { type Form, parseRow } from './form.ts';
import { AMX } from './instructions/amx.ts';
import { AVX512 } from './instructions/avx512.ts';
import { DOUBLES } from './instructions/doubles.ts';
import { FLOAT_ARITHMETIC } from './instructions/float-arithmetic.ts';
import { FLOAT_MOVEMENT } from './instructions/float-movement.ts';
import { GENERAL } from './instructions/general.ts';
import { INTEGER_ARITHMETIC } from './instructions/integer-arithmetic.ts';
import { INTEGER_MOVEMENT } from './instructions/integer-movement.ts';
import { MASK } from './instructions/mask.ts';

/** The whole table; `form.ts` says how a row is read. */
export const X64_INSTRUCTIONS = {
  ...GENERAL,
  ...DOUBLES,
  ...FLOAT_ARITHMETIC,
  ...FLOAT_MOVEMENT,
  ...INTEGER_ARITHMETIC,
  ...INTEGER_MOVEMENT,
  ...AVX512,
  ...MASK,
  ...AMX,
};

/**
 * Intel's name; `lock_` stands for the prefix, `_vex` for AVX-VNNI where AVX-512 has the name,
 * `_st0` for an operand on the stack of the x87 unit.
 */
export type Mnemonic = keyof typeof X64_INSTRUCTIONS;

const parsed = new Map<string, readonly Form[]>();

/** All forms of an instruction, in the order in which they are tried. Rows are read once, when needed. */
export function formsOf(name: Mnemonic): readonly Form[] {
  let forms = parsed.get(name);
  if (!forms) {
    const row = X64_INSTRUCTIONS[name];
    if (row === undefined) throw new InternalError(`x64: there is no instruction "${name}"`);
    parsed.set(name, (forms = parseRow(row)));
  }
  return forms;
}
