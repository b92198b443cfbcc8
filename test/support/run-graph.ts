import { type CompileOptions, compile } from '../../src/compile/index.ts';
import type { Device } from '../../src/device/index.ts';
import { DTYPES, type TypedArray } from '../../src/ir/dtype.ts';
import type { BufferNode } from '../../src/ir/graph/build.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import { sizeOf } from '../../src/ir/shape.ts';

/** Compiles a graph for a device, runs it once and gives its outputs. */
export async function runGraph(
  device: Device,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
  values: readonly TypedArray[],
  options: CompileOptions = {},
  vars: ReadonlyMap<string, number> = new Map(),
): Promise<TypedArray[]> {
  const { code } = compile(device.target, outputs, inputs, options);
  const executable = await device.load(code);
  const sources = values.map((value) => {
    const allocation = device.allocate(value.byteLength);
    device.write(allocation, value);
    return allocation;
  });
  const targets = outputs.map((o) => device.allocate(sizeOf(o.shape) * DTYPES[o.dtype].bytes));
  try {
    await executable.run(sources, targets, vars);
    return outputs.map((o, i) => device.read(targets[i], o.dtype, sizeOf(o.shape)));
  } finally {
    for (const a of [...sources, ...targets]) device.free(a);
    executable.dispose();
  }
}

/** Numbers of a seed, in -2 .. 2 with some zeros and repeats. */
export function numbers(seed: number, size: number): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % 16 === 0 ? 0 : (state / 2 ** 32) * 4 - 2;
  });
}

/** The first place where two arrays differ in a bit (NaN equals NaN), or -1. */
export function firstDifference(x: TypedArray, y: TypedArray): number {
  if (x.length !== y.length) return Math.min(x.length, y.length);
  for (let i = 0; i < x.length; i++) if (!Object.is(x[i], y[i])) return i;
  return -1;
}
