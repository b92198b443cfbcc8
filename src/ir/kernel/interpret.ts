import { InternalError } from '../../base/errors.ts';
import { arrayClass, type TypedArray } from '../dtype.ts';
import { type FailedCheck, Frame } from './interpret-frame.ts';
import { garbage } from './interpret-memory.ts';
import { compileBlock } from './interpret-statements.ts';
import type { Kernel } from './types.ts';

export type { FailedCheck } from './interpret-frame.ts';

export interface KernelArguments {
  /** In the order of `kernel.buffers`; each of the class that holds its dtype. */
  readonly buffers: readonly TypedArray[];
  /** In the order of `kernel.vars`. */
  readonly vars: readonly number[];
}

export interface InterpretOptions {
  /** Rounds `fma` once, as targets with such an instruction do. Otherwise twice. */
  readonly fusedFma?: boolean;
}

type Program = (args: KernelArguments) => { check: FailedCheck | null };

const programs = {
  fused: new WeakMap<Kernel, Program>(),
  plain: new WeakMap<Kernel, Program>(),
};

/**
 * Runs a kernel: the meaning of the IR, and the oracle of every emitter. Every operation is rounded
 * as its type says, thread loops run in order, and locals start as garbage. Throws an InternalError
 * where the kernel leaves a buffer or its arguments do not fit.
 */
export function interpretKernel(
  kernel: Kernel,
  args: KernelArguments,
  options: InterpretOptions = {},
): { check: FailedCheck | null } {
  const cache = options.fusedFma ? programs.fused : programs.plain;
  let program = cache.get(kernel);
  if (!program) {
    program = compile(kernel, options.fusedFma ?? false);
    cache.set(kernel, program);
  }
  return program(args);
}

function compile(kernel: Kernel, fusedFma: boolean): Program {
  const frame = new Frame(kernel, fusedFma);
  const { registers, memory } = frame;
  const run = compileBlock(frame, kernel.body);
  return (args) => {
    checkArguments(kernel, args);
    registers.fill(Number.NaN);
    registers.set(args.vars);
    memory.push(...args.buffers, ...kernel.locals.map((b) => garbage(b.dtype, b.size)));
    frame.check = null;
    try {
      run();
      return { check: frame.check };
    } finally {
      memory.length = 0;
    }
  };
}

function checkArguments(kernel: Kernel, args: KernelArguments): void {
  const { buffers, vars } = args;
  if (buffers.length !== kernel.buffers.length || vars.length !== kernel.vars.length) {
    throw new InternalError(
      `kernel ${kernel.name} takes ${kernel.buffers.length} buffers and ${kernel.vars.length} ` +
        `vars, not ${buffers.length} and ${vars.length}`,
    );
  }
  kernel.buffers.forEach(({ name, dtype, size }, i) => {
    const array = buffers[i];
    if (array instanceof arrayClass(dtype) && array.length >= size) return;
    throw new InternalError(
      `kernel ${kernel.name}: ${name} is ${array?.constructor.name}[${array?.length}], ` +
        `not ${arrayClass(dtype).name}[${size}]`,
    );
  });
  kernel.vars.forEach(({ name, min, max }, i) => {
    if (Number.isInteger(vars[i]) && vars[i] >= min && vars[i] <= max) return;
    throw new InternalError(`kernel ${kernel.name}: ${name} is ${vars[i]}, not ${min} .. ${max}`);
  });
}
