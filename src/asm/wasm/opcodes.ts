import { ATOMIC_INSTRUCTIONS } from './opcodes-atomic.ts';
import { CORE_INSTRUCTIONS } from './opcodes-core.ts';
import { SIMD_INSTRUCTIONS } from './opcodes-simd.ts';
import type { InstructionRow } from './row.ts';

/**
 * The instruction table, keyed by the name an instruction has in the text format (§6.5; opcodes
 * §5.4). It is the only place that knows opcodes: the builder, the encoder and the printer all
 * read it. Threads are those of the threads proposal, memory has the index 0.
 */
export const INSTRUCTIONS = {
  ...CORE_INSTRUCTIONS,
  ...SIMD_INSTRUCTIONS,
  ...ATOMIC_INSTRUCTIONS,
} as const satisfies Record<string, InstructionRow>;

/** The name of an instruction, as in the text format. */
export type Instruction = keyof typeof INSTRUCTIONS;

/** Whether a text names an instruction of the table. */
export function isInstruction(name: string): name is Instruction {
  return Object.hasOwn(INSTRUCTIONS, name);
}
