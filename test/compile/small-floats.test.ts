import { describe, expect, it } from 'vitest';
import { kernelsOf } from '../../src/compile/code.ts';
import { decodeSmall, encodeSmall, roundSmall } from '../../src/compile/lower/math/small-floats.ts';
import {
  type DeviceName,
  GraphInterpreter,
  KernelInterpreter,
  WasmDevice,
} from '../../src/device/index.ts';
import { arrayClass, DTYPES } from '../../src/ir/dtype.ts';
import { decodeFloat, encodeFloat, roundTo, type SmallFloat } from '../../src/ir/float-formats.ts';
import * as g from '../../src/ir/graph/build.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { add, mul } from '../../src/ir/kernel/index-expr.ts';
import { interpretKernel } from '../../src/ir/kernel/interpret.ts';
import { type Kernel, type KernelTarget, WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { tensor } from '../../src/tensor/index.ts';
import { COMPILED_DEVICES } from '../support/device-names.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { runGraph } from '../support/run-graph.ts';
import { runOnNative, runOnWasm } from '../support/run-kernel.ts';

const FORMATS = ['f16', 'bf16', 'f8e4m3', 'f8e5m2'] as const;
const DEVICES = [
  new KernelInterpreter(true),
  new WasmDevice({ relaxedSimd: true, threads: 1 }),
] as const;

function everyElement(dtype: SmallFloat): Uint16Array | Uint8Array {
  const count = 2 ** (8 * DTYPES[dtype].bytes);
  const array = count > 256 ? new Uint16Array(count) : new Uint8Array(count);
  return array.map((_, i) => i);
}

const floats = new Float32Array(1);
const words = new Uint32Array(floats.buffer);
/** The f32 `steps` places away. */
function beside(x: number, steps: number): number {
  floats[0] = x;
  words[0] += steps;
  return floats[0];
}

/** Every number of the format, every border between two, what lies around both, and random bits. */
function interesting(dtype: SmallFloat): Float32Array {
  const values = [...everyElement(dtype)].map((bits) => decodeFloat(dtype, bits));
  const positive = values.filter((v) => v >= 0 && Number.isFinite(v)).sort((x, y) => x - y);
  const largest = positive[positive.length - 1];
  const next = largest + (largest - positive[positive.length - 2]);
  const around = [...positive, next].flatMap((v, i, all) => {
    const border = Math.fround((v + (all[i + 1] ?? v)) / 2);
    return [v, border, beside(v, 1), beside(v, -1), beside(border, 1), beside(border, -1)];
  });
  let state = 12345;
  const random = Uint32Array.from({ length: 100_000 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  });
  const special = [Infinity, Number.NaN, 0, 2 ** -149, 2 ** -126, 3.4028234663852886e38];
  const sizes = Float32Array.from([...special, ...around, ...new Float32Array(random.buffer)]);
  return Float32Array.from([...sizes, ...sizes.map((v) => -v)]);
}

type Numbers = Float32Array | Uint16Array | Uint8Array | Int32Array;

/** Runs `body` on every element, by one lane or by vectors: on the interpreter, wasm and native. */
async function onAll(
  name: string,
  input: { dtype: SmallFloat | 'f32' | 'i32'; data: Numbers },
  output: SmallFloat | 'f32' | 'i32',
  wide: boolean,
  body: (
    b: KernelBuilder,
    x: ReturnType<KernelBuilder['load']>,
  ) => ReturnType<KernelBuilder['load']>,
) {
  const count = input.data.length;
  const size = Math.ceil(count / 16) * 16;
  const make = (target: KernelTarget): Kernel => {
    const b = new KernelBuilder(target);
    const from = b.buffer('x', input.dtype, size, 'in');
    const to = b.buffer('y', output, size, 'out');
    const { lanes, laneIndex } = b;
    b.loop(wide ? size / lanes : size, 'thread', [], (i) => {
      const at = wide ? add(mul(i, lanes), laneIndex) : i;
      b.store(to, at, body(b, b.load(from, at)));
    });
    return b.build(name);
  };
  const Data = input.data.constructor as new (n: number) => typeof input.data;
  const padded = new Data(size);
  padded.set(input.data);
  const empty = () => new (arrayClass(output))(size);
  const kernel = make(WASM_KERNELS);
  const result = empty();
  interpretKernel(kernel, { buffers: [padded.slice(), result], vars: [] });
  const results = [result, await runOnWasm(DEVICES[1], kernel, [padded, empty()], [])];
  for (const { target, guarded } of nativeDevices()) {
    const native = make(kernelsOf(target));
    results.push((await runOnNative(guarded, native, [padded, empty()], [])).buffers[1]);
  }
  return results.map((all) => (all as Numbers).subarray(0, count));
}

/** The first element where `got` is not what is wanted, or -1: many comparisons, one expectation. */
function firstWrong(got: ArrayLike<number>, want: (i: number) => number): number {
  for (let i = 0; i < got.length; i++) if (!Object.is(got[i], want(i))) return i;
  return -1;
}

describe.each(FORMATS)('%s', (dtype) => {
  const bits = everyElement(dtype);
  const isNaNBits = (code: number) => Number.isNaN(decodeFloat(dtype, code));
  const values = interesting(dtype);
  const encoded = Uint16Array.from(values, (v) => encodeFloat(dtype, v));
  const rounded = values.map((v) => roundTo(dtype, v));
  const nan = encodeFloat(dtype, Number.NaN);

  it.each([false, true])('every element is loaded and stored exactly, wide: %s', async (wide) => {
    for (const got of await onAll('load', { dtype, data: bits }, 'f32', wide, (_b, x) => x)) {
      expect(firstWrong(got, (i) => decodeFloat(dtype, bits[i]))).toBe(-1);
    }
    for (const got of await onAll('copy', { dtype, data: bits }, dtype, wide, (_b, x) => x)) {
      expect(firstWrong(got, (i) => (isNaNBits(bits[i]) ? nan : bits[i]))).toBe(-1);
    }
  });

  it.each([false, true])('floats are rounded to the nearest, wide: %s', async (wide) => {
    const input = { dtype: 'f32', data: values } as const;
    for (const got of await onAll('store', input, dtype, wide, (_b, x) => x)) {
      expect(firstWrong(got, (i) => encoded[i])).toBe(-1);
    }
    const round = (b: KernelBuilder, x: ReturnType<KernelBuilder['load']>) =>
      roundSmall(b, dtype, x);
    for (const got of await onAll('round', input, 'f32', wide, round)) {
      expect(firstWrong(got, (i) => rounded[i])).toBe(-1);
    }
  });

  it('bits are made and read in registers', async () => {
    const input = { dtype: 'f32', data: values } as const;
    for (const got of await onAll('encode', input, 'i32', true, (b, x) =>
      encodeSmall(b, dtype, x),
    )) {
      expect(firstWrong(got, (i) => encoded[i])).toBe(-1);
    }
    const codes = { dtype: 'i32', data: Int32Array.from(bits) } as const;
    for (const got of await onAll('decode', codes, 'f32', true, (b, x) =>
      decodeSmall(b, dtype, x),
    )) {
      expect(firstWrong(got, (i) => decodeFloat(dtype, bits[i]))).toBe(-1);
    }
  });

  it('every step of a chain is rounded, also within one kernel', async () => {
    const some = [1e6, 1 / 3, -2.7, 65519, 1e-8, 200, 300];
    const chain = (device: DeviceName) => {
      const x = tensor(some, { device }).cast(dtype);
      return x.mul(3).add(x).sqrt().cast('f32').mul(2).toArray();
    };
    const want = await chain('interpret');
    for (const name of COMPILED_DEVICES) expect(await chain(name), name).toEqual(want);
  });

  it('sums and products are f32 and rounded once', async () => {
    // 0.5 is lost against 2048 in f16, and sooner in the others.
    const x = g.bufferNode(dtype, [1, 40], 'x');
    const ones = g.full(1, [40, 8], dtype);
    const index = g.full(0, [1, 40], 'i32');
    const outputs = [
      g.cast(g.reduce('sum', x, [1]), 'f32'),
      g.cast(g.dot(x, ones, 0, 1), 'f32'),
      g.cast(g.scatter(g.full(0, [1, 1], dtype), index, x, 1, 'add'), 'f32'),
    ];
    const elements = Array.from({ length: 40 }, (_, i) => (i === 0 ? 208 : 0.5));
    const data = Uint16Array.from(elements, (v) => encodeFloat(dtype, v));
    const bytes = DTYPES[dtype].bytes === 2 ? data : Uint8Array.from(data);
    const sum = roundTo(
      dtype,
      elements.reduce((s, v) => s + roundTo(dtype, v), 0),
    );
    for (const device of DEVICES) {
      for (const fuse of [true, false]) {
        const got = await runGraph(device, outputs, [x], [bytes], { fuse });
        for (const array of got) expect([...array].every((v) => v === sum)).toBe(true);
      }
    }
  });
});

describe('bitcasts', () => {
  it('keep the bits of small floats', async () => {
    const bits = everyElement('f16');
    const x = g.bufferNode('f16', [bits.length], 'x');
    const y = g.bitcast(x, 'bf16');
    const bytes = everyElement('f8e4m3');
    const z = g.bufferNode('u8', [256], 'z');
    for (const device of DEVICES) {
      const [half, eight] = await runGraph(
        device,
        [y, g.cast(g.bitcast(z, 'f8e4m3'), 'f32')],
        [x, z],
        [bits, bytes],
      );
      const isNaN16 = (code: number) =>
        Number.isNaN(decodeFloat('f16', code)) || Number.isNaN(decodeFloat('bf16', code));
      expect(firstWrong(half, (i) => (isNaN16(bits[i]) ? half[i] : bits[i]))).toBe(-1);
      expect(firstWrong(eight, (i) => decodeFloat('f8e4m3', i))).toBe(-1);
    }
  });
});

describe('integers of eight bits', () => {
  it('wrap in registers as they do in memory', async () => {
    const x = g.bufferNode('i8', [3, 5], 'x');
    const product = g.dot(x, g.full(7, [5, 8], 'i8'), 0, 1);
    const outputs = [g.cast(product, 'i32'), g.cast(g.reduce('sum', x, [1]), 'i32')];
    const data = Int8Array.from({ length: 15 }, (_, i) => 37 * i);
    const wanted = await runGraph(new GraphInterpreter(), outputs, [x], [data]);
    for (const device of DEVICES) {
      for (const fuse of [true, false]) {
        expect(await runGraph(device, outputs, [x], [data], { fuse })).toEqual(wanted);
      }
    }
  });
});

describe('f64', () => {
  it('is refused on wasm by name, in registers too', async () => {
    const wide = tensor([1, 2], { device: 'wasm' }).cast('f64').mul(2).cast('f32');
    await expect(wide.data()).rejects.toThrow('device wasm has no f64; cast to f32');
  });
});
