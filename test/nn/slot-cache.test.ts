import { expect, test } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import {
  type Device,
  GraphInterpreter,
  KernelInterpreter,
  WasmDevice,
} from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { SlotCache } from '../../src/nn/index.ts';
import { jit, random, realize, scope, type Tensor, tensor } from '../../src/tensor/index.ts';
import { namedNativeDevices } from '../support/native-devices.ts';

const CONTEXT = 70;
const VOCABULARY = 20;

function model(device: Device): Llama {
  random.seed(7);
  return new Llama(
    llamaConfig({
      vocab_size: VOCABULARY,
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: CONTEXT,
    }),
    { device, std: 0.3 },
  );
}

const layers = [
  { heads: 2, size: 4 },
  { heads: 2, size: 4 },
];

/** One row of a step: a slot, where its tokens begin, and the tokens. */
type Row = readonly [slot: number, start: number, ...tokens: number[]];

function stepper(device: Device, llama: Llama, cache: SlotCache) {
  const step = jit((plan: Tensor, time: number) => {
    const column = (i: number) => plan.narrow(1, i, 1).reshape([-1]);
    return llama.forward(plan.narrow(1, 2, time), cache.state(column(0), column(1), time));
  });
  const run = async (rows: readonly Row[]): Promise<Float32Array[]> => {
    const plan = tensor(Int32Array.from(rows.flat()), {
      shape: [rows.length, rows[0].length],
      device,
    });
    const logits = await step(plan, rows[0].length - 2);
    const data = (await logits.data()) as Float32Array;
    plan.dispose();
    logits.dispose();
    const size = data.length / rows.length;
    return rows.map((_, i) => data.slice(i * size, (i + 1) * size));
  };
  return { step, run };
}

const text = Array.from({ length: 40 }, (_, i) => (i * 7 + (i >> 3)) % VOCABULARY);
const other = Array.from({ length: 40 }, (_, i) => (i * 11 + 3) % VOCABULARY);

const devices: [string, () => Device][] = [
  ['interpret', () => new GraphInterpreter()],
  ['interpret-kernels', () => new KernelInterpreter()],
  ['wasm', () => new WasmDevice({ relaxedSimd: true, threads: 1 })],
  ...namedNativeDevices().map(([name, native]): [string, () => Device] => [name, () => native]),
];

test.each(devices)('%s: logits of the whole forward pass, whatever the pieces', async (_, open) => {
  const device = open();
  await scope(async () => {
    const llama = model(device);
    const cache = new SlotCache({ layers, slots: 3, capacity: CONTEXT, device });
    const { run } = stepper(device, llama, cache);
    const ids = tensor(Int32Array.from(text.slice(0, 14)), { shape: [1, 14], device });
    const whole = (await llama.forward(ids).data()) as Float32Array;
    const [first] = await run([[2, 0, ...text.slice(0, 8)]]);
    // The piece begins inside the one before: it puts the same in again.
    const [second] = await run([[2, 4, ...text.slice(4, 12)]]);
    const [third] = await run([[2, 12, text[12]]]);
    const [last] = await run([[2, 13, text[13]]]);
    const parts = [first, second.subarray(4 * VOCABULARY), third, last].flatMap((p) => [...p]);
    expect(parts).toHaveLength(whole.length);
    parts.forEach((value, i) => {
      expect(Math.abs(value - whole[i])).toBeLessThan(1e-4);
    });
  });
});

test('a sequence has the same bits alone, beside others, and in any slot', async () => {
  const device = new WasmDevice({ relaxedSimd: true, threads: 1 });
  await scope(async () => {
    const llama = model(device);
    const fresh = () => new SlotCache({ layers, slots: 8, capacity: CONTEXT, device });
    const alone = stepper(device, llama, fresh());
    await alone.run([[0, 0, ...text.slice(0, 32)]]);
    const wanted: Float32Array[] = [];
    for (let at = 32; at < 36; at++) wanted.push(...(await alone.run([[0, at, text[at]]])));
    const { run } = stepper(device, llama, fresh());
    // Token by token in one slot, in pieces of 8 in another; what else runs has other lengths.
    for (let at = 0; at < 32; at++) await run([[5, at, text[at]]]);
    for (let at = 0; at < 32; at += 8) await run([[3, at, ...text.slice(at, at + 8)]]);
    for (const [i, slot] of [0, 1, 2, 4, 6, 7].entries()) {
      await run([[slot, 0, ...other.slice(i, i + 8)]]);
    }
    for (let at = 32; at < 36; at++) {
      const rows = [0, 5, 1, 2, 3, 4, 6, 7].map((slot): Row => {
        const mine = slot === 5 || slot === 3;
        return mine ? [slot, at, text[at]] : [slot, at - 24, other[at]];
      });
      const got = await run(rows);
      expect(got[1]).toEqual(wanted[at - 32]);
      expect(got[4]).toEqual(wanted[at - 32]);
    }
  });
});

test('a thousand steps write where they should: memory flat, nothing copied', async () => {
  const device = new WasmDevice({ relaxedSimd: true, threads: 1 });
  const llama = model(device);
  const cache = new SlotCache({ layers, slots: 4, capacity: CONTEXT, device });
  await realize(...cache.cells.map((cell) => cell.value));
  const { step, run } = stepper(device, llama, cache);
  const at = (i: number) => run([0, 1, 2, 3].map((slot): Row => [slot, (i + slot) % CONTEXT, 1]));
  await at(0);
  const memory = cache.cells.map((cell) => cell.held.lazy.storage);
  const bytes = device.liveBytes;
  for (let i = 1; i < 1000; i++) await at(i);
  expect(step.traces).toBe(1);
  expect(device.liveBytes).toBe(bytes);
  expect(cache.cells.map((cell) => cell.held.lazy.storage)).toEqual(memory);
});

test('what is limited to a range needs no check, what is not does', () => {
  const program = (limit: (place: g.BufferNode) => ReturnType<typeof g.binary>) => {
    const cache = g.bufferNode('f32', [512, 8], 'cache');
    const row = g.bufferNode('f32', [1, 8], 'row');
    const place = g.bufferNode('i32', [1], 'place');
    const index = g.expand(g.reshape(limit(place), [1, 1]), row.shape);
    const next = g.scatter(cache, index, row, 0, 'set');
    const sum = g.reduce('sum', next, [1]);
    return compileProgram([sum, next], [cache, row, place], { donations: new Map([[1, 0]]) });
  };
  const below = (x: Parameters<typeof g.binary>[1], last: number) =>
    g.binary('min', x, g.constLike(x, last));
  const above = (x: Parameters<typeof g.binary>[1], low: number) =>
    g.binary('max', x, g.constLike(x, low));
  const proven = program((place) => below(above(place, 0), 511));
  expect(proven.outputs[1]).toMatchObject({ mayReuse: 0, keeps: true });
  expect(proven.kernels.flatMap((kernel) => kernel.checks)).toEqual([]);
  for (const open of [
    program((place) => below(above(place, 0), 512)),
    program((place) => below(above(place, -1), 511)),
    program((place) => below(place, 511)),
  ]) {
    expect(open.outputs[1]).toMatchObject({ mayReuse: undefined, keeps: false });
    expect(open.kernels.flatMap((kernel) => kernel.checks)).toHaveLength(1);
  }
});

test('places outside the cache are moved to its ends, and sizes are checked', async () => {
  const device = new WasmDevice({ relaxedSimd: true, threads: 1 });
  await scope(async () => {
    const cache = new SlotCache({ layers, slots: 2, capacity: CONTEXT, device });
    const { run } = stepper(device, model(device), cache);
    const [inside] = await run([[1, 0, 3]]);
    await run([[1, 0, 4]]);
    const [beyond] = await run([[9, -5, 3]]);
    expect(beyond).toEqual(inside);
    const [first] = await run([[0, 0, 3]]);
    await run([[0, 0, 4]]);
    expect(first).toEqual(inside);
    expect((await run([[-3, -5, 3]]))[0]).toEqual(first);
    expect(() => new SlotCache({ layers, slots: 0, capacity: 4 })).toThrow('slots is 0');
    const slots = tensor([0], { dtype: 'i32', device });
    expect(() => cache.state(slots, slots, CONTEXT + 1)).toThrow('time is 71');
  });
});
