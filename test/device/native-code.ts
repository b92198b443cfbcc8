import { mem, r32, r64, rax, rcx, rdi, rdx, rsi, X64Assembler } from '../../src/asm/index.ts';
import { nativeSupport } from '../../src/device/index.ts';
import type { DType } from '../../src/ir/dtype.ts';
import { CONTROL_WORDS, type Code, type RunPlan } from '../../src/ir/program.ts';

/** Programs of device native written by hand, so that the device is tested without a compiler. */

const support = nativeSupport();
/** Why nothing can be tested on this machine, or undefined. */
export const unsupported = 'reason' in support ? support.reason : undefined;
if (unsupported !== undefined) console.warn(`device native is not tested: ${unsupported}`);

export type X64Code = Code & { readonly kind: 'x64' };

interface Sketch {
  readonly inputs?: number;
  readonly outputs?: number;
  readonly instructions?: number;
  readonly sharedLoops?: number;
  readonly scratchBytes?: number;
  readonly localBytes?: number;
  readonly vars?: RunPlan['vars'];
  readonly steps?: number;
}

const binding = (name: string, i: number) => ({
  name: `${name}${i}`,
  dtype: 'i32' as DType,
  size: 4,
});

/** A plan for code that takes so many inputs and outputs; steps of one kernel `probe`. */
export function planOf(sketch: Sketch = {}): RunPlan {
  const { inputs = 1, outputs = 1, instructions = 100, sharedLoops = 0, steps = 1 } = sketch;
  const count = <T>(n: number, make: (i: number) => T) =>
    Array.from({ length: n }, (_, i) => make(i));
  return {
    kernels: [{ name: 'probe', vars: sketch.vars ?? [], checks: [], sharedLoops }],
    steps: count(steps, (i) => ({
      kernel: 0,
      label: `step ${i}`,
      barrier: false,
      instructions: instructions / steps,
      places: [
        ...count(inputs, (index) => ({ kind: 'input' as const, index })),
        ...count(outputs, (index) => ({ kind: 'output' as const, index })),
      ],
    })),
    inputs: count(inputs, (i) => binding('in', i)),
    outputs: count(outputs, (i) => ({ ...binding('out', i), mayReuse: undefined, keeps: false })),
    vars: sketch.vars ?? [],
    scratchBytes: sketch.scratchBytes ?? 0,
    localBytes: sketch.localBytes ?? 0,
    firstCommit: steps,
    instructions,
  };
}

/** Code whose `run` is written by `body`; it returns 0. `kernel` writes the one kernel. */
export function codeOf(
  body: (a: X64Assembler) => void,
  sketch: Sketch = {},
  kernel: (a: X64Assembler) => void = () => undefined,
): X64Code {
  const a = new X64Assembler();
  body(a);
  a.emit('xor', r32(0), r32(0)).emit('ret').align(16);
  const start = a.label();
  a.bind(start);
  kernel(a);
  a.emit('ret');
  const bytes = a.bytes();
  return {
    kind: 'x64',
    plan: planOf(sketch),
    bytes,
    entry: 0,
    kernelEntries: [a.offsetOf(start)],
    sharedLoops: sketch.sharedLoops ?? 0,
  };
}

/** out[thread] = in[0] + 100 * thread + threads + 10000 * (to - from) */
export const whoAmI = (sketch: Sketch = {}): X64Code =>
  codeOf((a) => {
    a.emit('mov', rax, mem(rdi, 0)).emit('mov', r64(9), mem(rdi, 8));
    a.emit('mov', r32(0), mem(rax, 0)).emit('add', r32(0), r32(2));
    a.emit('imul', r32(10), r32(6), 100).emit('add', r32(0), r32(10));
    a.emit('sub', r32(8), r32(1)).emit('imul', r32(8), r32(8), 10_000).emit('add', r32(0), r32(8));
    a.emit('mov', mem(r64(9), 0, { index: rsi, scale: 4 }), r32(0));
  }, sketch);

/** Runs for about `in[0]` thousand million clock ticks, then out[0] = 1. */
export const slow = (sketch: Sketch = {}): X64Code =>
  codeOf((a) => {
    const loop = a.label();
    a.emit('mov', rax, mem(rdi, 0)).emit('mov', r32(9), mem(rax, 0));
    a.emit('imul', r64(9), r64(9), 1_000_000_000);
    a.emit('mov', r64(10), mem(rdi, 8));
    a.emit('rdtsc').emit('shl', rdx, 32).emit('or', rax, rdx).emit('add', r64(9), rax);
    a.bind(loop);
    a.emit('pause').emit('rdtsc').emit('shl', rdx, 32).emit('or', rax, rdx);
    a.emit('cmp', rax, r64(9)).branch('b', loop);
    a.emit('mov', mem(r64(10), 0, { bits: 32 }), 1);
  }, sketch);

/** All threads count themselves in at the shared loop's counter and wait for the others. */
export const meeting = (sketch: Sketch = {}): X64Code =>
  codeOf(
    (a) => {
      const wait = a.label();
      // Table: input, output, scratch, local, counters.
      a.emit('mov', r64(9), mem(rdi, 8)).emit('mov', r64(10), mem(rdi, 32));
      a.emit('lock_add', mem(r64(10), 0, { bits: 32 }), 1);
      a.bind(wait).emit('pause');
      a.emit('cmp', mem(r64(10), 0), r32(2)).branch('ne', wait);
      a.emit('mov', r32(0), mem(r64(10), 0));
      a.emit('mov', mem(r64(9), 0, { index: rsi, scale: 4 }), r32(0));
    },
    { ...sketch, sharedLoops: 1 },
  );

/** out[0] = the byte `distance` behind the first of the input, as run and as kernel. */
export const peek = (distance: number, sketch: Sketch = {}): X64Code => {
  const body = (a: X64Assembler) => {
    a.emit('mov', rax, mem(rdi, 0)).emit('mov', r64(9), mem(rdi, 8));
    a.emit('mov', rcx, distance).emit('movzx', r32(0), mem(rax, 0, { index: rcx, bits: 8 }));
    a.emit('mov', mem(r64(9), 0), r32(0));
  };
  return codeOf(body, sketch, body);
};

/** Records that index 9 is out of range of 7, as check 0, and says so of step `step`. */
export const failing = (step: number, sketch: Sketch = {}): X64Code => {
  const { inputs = 1, outputs = 1, steps = step } = sketch;
  // inputs, outputs, scratch, local, counters, then the control block.
  const control = 8 * (inputs + outputs + 3);
  const a = new X64Assembler();
  const record = (i: number) => mem(rax, CONTROL_WORDS.failure + 4 * i, { bits: 32 });
  a.emit('mov', rax, mem(rdi, control));
  a.emit('mov', record(1), 0).emit('mov', record(2), 9).emit('mov', record(3), 7);
  a.emit('mov', record(0), 1).emit('mov', r32(0), step).emit('ret');
  const plan = planOf({ ...sketch, steps });
  const kernels = [{ ...plan.kernels[0], checks: ['gather on axis 0 of [7]'] }];
  return {
    kind: 'x64',
    plan: { ...plan, kernels },
    bytes: a.bytes(),
    entry: 0,
    kernelEntries: [0],
    sharedLoops: 0,
  };
};
