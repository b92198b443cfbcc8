import type { Label, Mem } from './memory.ts';
import type { Operand } from './operand.ts';
import type { PlacedConstant } from './pool.ts';
import type { Gpr } from './registers.ts';

/** What the assembler did, to be printed. */
export type Line =
  | { readonly kind: 'label'; readonly offset: number; readonly label: Label }
  | { readonly kind: 'align'; readonly offset: number; readonly alignment: number }
  | { readonly kind: 'jump'; readonly offset: number; readonly name: string; readonly label: Label }
  | InstructionLine;

export interface InstructionLine {
  readonly kind: 'instruction';
  readonly offset: number;
  readonly name: string;
  readonly operands: readonly Operand[];
  /** The write mask's number; 0 where there is none. */
  readonly mask: number;
  readonly zeroing: boolean;
  /** Lanes that a broadcast of this form fills. */
  readonly lanes: number;
}

/** Intel's syntax, each line with its offset; constants follow behind the code. */
export function listing(
  lines: readonly Line[],
  constants: readonly PlacedConstant[],
  poolOffset: number,
): string {
  const text = lines.map((line) => {
    if (line.kind === 'label') return `L${line.label.id}:`;
    return `${offsetText(line.offset)}  ${lineText(line)}`;
  });
  for (const { label, bytes, offset } of constants) {
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0'));
    text.push(`L${label.id}:`, `${offsetText(poolOffset + offset)}  .byte ${digits.join(' ')}`);
  }
  return `${text.join('\n')}\n`;
}

function lineText(line: Exclude<Line, { kind: 'label' }>): string {
  switch (line.kind) {
    case 'align':
      return `.align ${line.alignment}`;
    case 'jump':
      return `${line.name} L${line.label.id}`;
    case 'instruction':
      return instructionText(line);
    default:
      return line satisfies never;
  }
}

export function instructionText(line: InstructionLine): string {
  const { operands, mask } = line;
  const parts = operands.map((operand) => operandText(operand, line.lanes));
  if (mask) parts[0] += `{k${mask}}${line.zeroing ? '{z}' : ''}`;
  const name = spelled(line.name);
  return parts.length === 0 ? name : `${name} ${parts.join(', ')}`;
}

/** A mnemonic of the table as an assembler reads it. */
function spelled(name: string): string {
  if (name.startsWith('lock_')) return `lock ${name.slice(5)}`;
  if (name.endsWith('_st0')) return `${name.slice(0, -4)} st(0)`;
  return name.endsWith('_vex') ? `{vex} ${name.slice(0, -4)}` : name;
}

const LEGACY_NAMES = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'] as const;
const SIZE_NAMES = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword' } as const;

function gprName({ id, bits }: Gpr): string {
  if (id >= 8) return `r${id}${{ 8: 'b', 16: 'w', 32: 'd', 64: '' }[bits]}`;
  const name = LEGACY_NAMES[id];
  if (bits === 64) return `r${name}`;
  if (bits === 32) return `e${name}`;
  if (bits === 16) return name;
  return id < 4 ? `${name[0]}l` : `${name}l`;
}

/** `lanes` is printed behind an element that is broadcast. */
export function operandText(operand: Operand, lanes = 0): string {
  if (typeof operand === 'number') return hex(operand);
  switch (operand.kind) {
    case 'gpr':
      return gprName(operand);
    case 'vec':
      return `${{ 128: 'x', 256: 'y', 512: 'z' }[operand.bits]}mm${operand.id}`;
    case 'k':
      return `k${operand.id}`;
    case 'tmm':
      return `tmm${operand.id}`;
    case 'mem':
      return memoryText(operand, lanes);
    default:
      return operand satisfies never;
  }
}

function memoryText(memory: Mem, lanes: number): string {
  const { base, label, disp, scale } = memory;
  const index = memory.vindex ?? memory.index;
  const terms: string[] = [];
  if (label) terms.push('rip', `L${label.id}`);
  if (base) terms.push(gprName(base));
  if (index) terms.push(`${operandText(index)}*${scale}`);
  let text = terms.join('+');
  if (text === '') text = hex(disp);
  else if (disp !== 0) text += disp < 0 ? hex(disp) : `+${hex(disp)}`;
  const size = memory.bits ? `${SIZE_NAMES[memory.bits]} ptr ` : '';
  return `${size}[${text}]${memory.broadcast ? (lanes ? `{1to${lanes}}` : '{broadcast}') : ''}`;
}

function hex(value: number): string {
  return value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

function offsetText(offset: number): string {
  return `${offset.toString(16).padStart(6)}:`;
}
