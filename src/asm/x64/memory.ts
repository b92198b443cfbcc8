import { badArgument } from '../../base/errors.ts';
import type { Gpr, Vec } from './registers.ts';

/** A place in the code or in its pool of constants; made by `X64Assembler.label`. */
export interface Label {
  readonly id: number;
}

/** base + index * scale + disp, or label + disp. */
export interface Mem {
  readonly kind: 'mem';
  readonly base: Gpr | undefined;
  readonly index: Gpr | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly disp: number;
  /** Addressed from the next instruction, so that the code may lie anywhere. */
  readonly label: Label | undefined;
  /** One element goes to all lanes (EVEX only). */
  readonly broadcast: boolean;
  /** An index for each lane: gathers and scatters. */
  readonly vindex: Vec | undefined;
  /** Said only where no register says how much is read or written. */
  readonly bits: 8 | 16 | 32 | 64 | undefined;
}

export interface MemOptions {
  readonly index?: Gpr | undefined;
  readonly scale?: 1 | 2 | 4 | 8 | undefined;
  readonly broadcast?: boolean | undefined;
  readonly vindex?: Vec | undefined;
  readonly bits?: 8 | 16 | 32 | 64 | undefined;
}

/** Without a base, `disp` is an absolute address or the offset of an index. */
export function mem(base: Gpr | undefined, disp = 0, options: MemOptions = {}): Mem {
  const { index, vindex, scale = 1 } = options;
  if (base && base.bits !== 64)
    throw badArgument('mem', 'base', base.bits, 'a register of 64 bits');
  if (index && (index.bits !== 64 || index.id === 4)) {
    throw badArgument('mem', 'index', index.id, 'a register of 64 bits that is not rsp');
  }
  if (index && vindex) throw badArgument('mem', 'vindex', vindex.id, 'no second index');
  if (scale !== 1 && scale !== 2 && scale !== 4 && scale !== 8) {
    throw badArgument('mem', 'scale', scale, '1, 2, 4 or 8');
  }
  return place('mem', base, disp, undefined, options);
}

/** Memory at a label, such as a constant. */
export function at(
  label: Label,
  disp = 0,
  options: Pick<MemOptions, 'broadcast' | 'bits'> = {},
): Mem {
  return place('at', undefined, disp, label, options);
}

function place(
  where: string,
  base: Gpr | undefined,
  disp: number,
  label: Label | undefined,
  { index, scale = 1, broadcast = false, vindex, bits }: MemOptions,
): Mem {
  // Also refuses NaN and fractions. A -0 would be printed oddly.
  if ((disp | 0) !== disp) throw badArgument(where, 'disp', disp, 'an integer of 32 bits');
  return { kind: 'mem', base, index, scale, disp: disp | 0, label, broadcast, vindex, bits };
}
