import type { DType } from './dtype.ts';
import type { Node } from './graph/types.ts';
import { sharedLoops } from './kernel/threads.ts';
import type { Kernel, KernelTarget } from './kernel/types.ts';
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

/**
 * The control block of a run of x86-64 code, whose address is the table's last entry: byte offsets
 * of what code and device both know. The host clears failure record and arrivals before a run. Words
 * that several threads write lie in cache lines of their own.
 */
export const CONTROL_WORDS = {
  /** Four i32, written as `FAILURE_RECORD` is: found, number of the check, value, size. */
  failure: 0,
  /** i32: arrivals at barriers; threads that wait long sleep on it (a futex of this process). */
  arrivals: 64,
  /** u64: number of the step (from 1) that thread 0 runs; it says where a crash was. */
  breadcrumb: 128,
  /** From here on the words are the device's own. */
  device: 192,
} as const;

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
  /** Kernels as they are; without a target those of 128-bit WebAssembly. */
  | { readonly kind: 'kernels'; readonly kernelTarget?: KernelTarget }
  | {
      readonly kind: 'wasm';
      readonly relaxedSimd: boolean;
      readonly maximumPages: number;
      /** Most threads that may run a program together; 1: memory is not shared. */
      readonly threads: number;
    }
  | {
      readonly kind: 'x64';
      /** avx2: with FMA, F16C and BMI2; avx512: with F, BW, DQ, VL and CD as well. */
      readonly isa: 'avx2' | 'avx512';
      /** Dot products of bytes: AVX512_VNNI for avx512, AVX-VNNI for avx2. */
      readonly vnni: boolean;
      /** AVX512_BF16: dot products of bf16. */
      readonly bf16: boolean;
      /** How products of bf16 are made: see `KernelTarget.bf16`. */
      readonly bf16Products?: 'pairs' | 'tiles' | undefined;
      /** AMX-INT8: products of tiles of bytes. */
      readonly byteTiles?: boolean | undefined;
      /** AVX512_VBMI: permutations of bytes. */
      readonly vbmi: boolean;
      /** Threads that run a long program together. */
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
    }
  | {
      readonly kind: 'x64';
      readonly plan: RunPlan;
      /**
       * Position-independent code. `run` follows the System V calling convention: rdi table, esi
       * thread, edx threads, ecx first step, r8d the step to stop before; eax is 0 or the step (from
       * 1) that found an index out of range. The table is that of `tableSlots` in entries of 8 bytes
       * (addresses; vars as i64), then the address of the control block (`CONTROL_WORDS`). The local
       * arena holds all threads' arenas, one after the other.
       */
      readonly bytes: Uint8Array<ArrayBuffer>;
      /** Offset of `run`. */
      readonly entry: number;
      /**
       * Offset of each distinct kernel, for traces. rdi: a record of u64, the addresses of buffers
       * and locals, vars, counters of the kernel's shared loops, number of threads, control block.
       */
      readonly kernelEntries: readonly number[];
      /** Loops that threads share in one run: each needs an i32 that the host clears before. */
      readonly sharedLoops: number;
    };
