import { TooLargeError } from '../../base/errors.ts';
import type { Trainer, TrainingMemory } from '../trainer.ts';

/** Bytes a training may take: the smaller of a budget and what its device can hold. */
export function memoryLimit(trainer: Trainer, budget = Number.POSITIVE_INFINITY): number {
  const [first] = trainer.model.parameters().values();
  return Math.min(budget, first?.held.device.capacity ?? Number.POSITIVE_INFINITY);
}

/** What is known of a run when its memory is estimated. */
export interface FitQuestion {
  readonly trainer: Trainer;
  /** Whether its batches have weights. */
  readonly weighted: boolean;
  /** Bytes that there are. */
  readonly limit: number;
  readonly gradientCheckpointing: boolean;
  readonly lora: boolean;
}

/**
 * Whether a training fits, before its first step: by the sizes of what stays and by the compiler's own
 * plan of the step.
 *
 * @throws RangeError with the estimate and what to do where it does not
 */
export function requireFit(question: FitQuestion): TrainingMemory {
  const { trainer, weighted, limit } = question;
  const standing = trainer.standing();
  const sum = standing.parameters + standing.gradients + standing.optimizer;
  // What does not fit without intermediates need not be compiled to know it.
  if (sum > limit) throw tooLarge({ ...standing, total: sum }, question);
  const memory = plannedMemory(trainer, weighted, (activations) =>
    tooLarge({ ...standing, activations, total: sum + activations }, question),
  );
  if (memory.total > limit) throw tooLarge(memory, question);
  return memory;
}

/** The plan of a step; of one that no memory could hold, the compiler tells the size only. */
function plannedMemory(
  trainer: Trainer,
  weighted: boolean,
  refusal: (activations: number) => RangeError,
): TrainingMemory {
  try {
    return trainer.memory(weighted);
  } catch (error) {
    throw error instanceof TooLargeError ? refusal(error.bytes) : error;
  }
}

function tooLarge(
  memory: Pick<TrainingMemory, 'parameters' | 'gradients' | 'optimizer' | 'total'> &
    Partial<TrainingMemory>,
  question: FitQuestion,
): RangeError {
  return new RangeError(
    `this training does not fit: ${describeMemory(memory)}; there are ${size(question.limit)}. ` +
      `What helps: ${advice(memory, question).join('; ')}.`,
  );
}

function advice(
  { parameters, gradients, optimizer, activations = 0 }: Partial<TrainingMemory>,
  { trainer, limit, gradientCheckpointing, lora }: FitQuestion,
): string[] {
  const standing = (parameters ?? 0) + (gradients ?? 0) + (optimizer ?? 0);
  const { batch, accumulate, sequence } = trainer;
  const list: string[] = [];
  if (standing < limit) {
    if (batch > 1) {
      const half = Math.ceil(batch / 2);
      list.push(`--batch ${half} --accumulate ${accumulate * 2} (the same result, less at once)`);
    }
    if (!gradientCheckpointing) list.push('--gradient-checkpointing (some 30 % slower)');
    if (sequence > 1) list.push(`a shorter --sequence than ${sequence}`);
  }
  if (standing >= limit || activations < standing) {
    if (!lora) list.push('--lora with --from (an adapter has few gradients and moments)');
    list.push('an optimizer with less state (adafactor, or sgd)', 'a smaller model');
  }
  return list;
}

/** The parts of an estimate in words. */
export function describeMemory(memory: Partial<TrainingMemory> & { total: number }): string {
  const parts = (['parameters', 'gradients', 'optimizer', 'activations', 'batch'] as const)
    .filter((name) => (memory[name] ?? 0) > 0)
    .map((name) => `${name} ${size(memory[name] as number)}`);
  return `${size(memory.total)} (${parts.join(', ')})`;
}

/** Bytes in words. */
export function size(bytes: number): string {
  if (bytes >= 2 ** 30) return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
  if (bytes >= 2 ** 20) return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  return `${(bytes / 1024).toFixed(1)} KiB`;
}
