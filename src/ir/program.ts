import type { DType } from './dtype.ts';
import type { Node } from './graph/types.ts';
import { sharedLoops } from './kernel/threads.ts';
import type { Kernel } from './kernel/types.ts';
import type { Var } from './shape.ts';

/** An array that the caller binds at each run. */
export interface Binding {
  readonly name: string;
  readonly dtype: DType;
  /** Elements, vars at their maximum. */
  readonly size: number;
}

export interface OutputBinding extends Binding {
  /**
   * Number of the input whose memory this output may take over: every element of that input is
   * read before its place is written, and by nothing afterwards.
   */
  readonly mayReuse: number | undefined;
  /**
   * Steps write only what changes: where the output does not lie in the memory of the input
   * `mayReuse`, it must hold that input's content when the program starts.
   */
  readonly keeps: boolean;
}

/** Where a kernel argument lies. */
export type Place =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'output'; readonly index: number }
  /** Bytes from the start of the scratch arena. */
  | { readonly kind: 'scratch'; readonly offset: number }
  /** Bytes from the start of the running thread's own arena. */
  | { readonly kind: 'local'; readonly offset: number };

export interface Step {
  /** Number of the kernel in `Program.kernels`. */
  readonly kernel: number;
  /** What the step computes, for traces. */
  readonly label: string;
  /** All threads must have finished the steps before: this one reads or overwrites their results. */
  readonly barrier: boolean;
  /** Machine instructions, roughly, vars at their maximum. */
  readonly instructions: number;
  /** One place for each of the kernel's buffers, then one for each of its locals. */
  readonly places: readonly Place[];
}

/** What a device must know of a kernel whose code it has. */
export interface KernelFacts extends Pick<Kernel, 'name' | 'vars' | 'checks'> {
  /** Loops whose turns threads share. */
  readonly sharedLoops: number;
}

interface Plan<K> {
  /** Distinct kernels; several steps may share one. */
  readonly kernels: readonly K[];
  readonly steps: readonly Step[];
  readonly inputs: readonly Binding[];
  readonly outputs: readonly OutputBinding[];
  readonly vars: readonly Var[];
  /** Bytes of the scratch arena; its content is lost between runs. */
  readonly scratchBytes: number;
  /** Bytes of each thread's own arena; its content is lost between steps. */
  readonly localBytes: number;
  /** The first step that may write over an input: from there on a run must go to its end. */
  readonly firstCommit: number;
  /** Machine instructions of a run, roughly, vars at their maximum. */
  readonly instructions: number;
}

/**
 * A compiled graph before code generation: kernels, the order in which they run, and the plan of
 * memory. Inputs are bound in order; `vars` get their values at each run. A run ends after the first
 * step that finds an index out of range; steps that write over inputs come after all that can.
 */
export type Program = Plan<Kernel>;

/** All that a device needs beside the code to run a program. Plain data: it can be kept as JSON. */
export type RunPlan = Plan<KernelFacts>;

/** What is left of a program once its kernels are code. */
export function runPlan({ kernels, ...rest }: Program): RunPlan {
  return { ...rest, kernels: kernels.map(kernelFacts) };
}

function kernelFacts(kernel: Kernel): KernelFacts {
  const { name, vars, checks } = kernel;
  return { name, vars, checks, sharedLoops: sharedLoops(kernel).length };
}

/**
 * Where compiled code leaves the first index found out of range: four i32 at this byte address of a
 * device's memory: found (0 or 1), number of the check in its kernel, value, size.
 */
export const FAILURE_RECORD = 16;

/** Byte address of the i32 that counts arrivals at barriers; the host clears it before a run. */
export const BARRIER = 64;

/** Where the parts of the table that a run gets begin: inputs, outputs, then these. */
export function tableSlots({
  inputs,
  outputs,
  vars,
}: Pick<RunPlan, 'inputs' | 'outputs' | 'vars'>) {
  const scratch = inputs.length + outputs.length;
  return {
    scratch,
    local: scratch + 1,
    counters: scratch + 2,
    vars: scratch + 3,
    count: scratch + 3 + vars.length,
  };
}

/** Scratch buffers start at multiples of this many bytes. */
export const ALIGNMENT = 64;

export function alignUp(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

/** What a device runs, and what the compiler must know to make it. */
export type Target =
  | { readonly kind: 'graph' }
  | { readonly kind: 'kernels' }
  | {
      readonly kind: 'wasm';
      readonly relaxedSimd: boolean;
      readonly maximumPages: number;
      /** Most threads that may run a program together; 1: memory is not shared. */
      readonly threads: number;
    };

/** Code for one kind of target. */
export type Code =
  | {
      readonly kind: 'graph';
      readonly outputs: readonly Node[];
      readonly inputs: readonly (Node & { readonly op: 'buffer' })[];
    }
  | { readonly kind: 'kernels'; readonly program: Program }
  | {
      readonly kind: 'wasm';
      readonly plan: RunPlan;
      readonly bytes: Uint8Array<ArrayBuffer>;
      /** Loops that threads share in one run: each needs an i32 that the host clears before. */
      readonly sharedLoops: number;
    };
