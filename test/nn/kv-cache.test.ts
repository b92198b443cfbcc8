import { afterAll, describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { GraphInterpreter, WasmDevice } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { cacheState, KVCache } from '../../src/nn/index.ts';
import {
  bind,
  type Device,
  jit,
  random,
  realize,
  scope,
  type Tensor,
  tensor,
  type Var,
  variable,
} from '../../src/tensor/index.ts';

const CAPACITY = 1024;

function model(device: Device, context: number): Llama {
  random.seed(7);
  return new Llama(
    llamaConfig({
      vocab_size: 20,
      hidden_size: 16,
      intermediate_size: 24,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: context,
    }),
    { device, std: 0.3 },
  );
}

const tokenAt = (position: number) => (position * 7 + (position >> 3)) % 20;

const ids = (device: Device, from: number, to: number) =>
  tensor(
    Int32Array.from({ length: to - from }, (_, i) => tokenAt(from + i)),
    { shape: [1, to - from], device },
  );

const open: WasmDevice[] = [];
const wasm = () => {
  const device = new WasmDevice({ relaxedSimd: true, threads: 1 });
  open.push(device);
  return device;
};
afterAll(() => {
  open.length = 0;
});

describe('an update of a cache', () => {
  const length = variable('length', 1, 512);

  /** cache [2, 512, 8] with one row put at length - 1; then something that reads all of it. */
  function update(position: g.BufferNode | undefined) {
    const cache = g.bufferNode('f32', [2, 512, 8], 'cache');
    const row = g.bufferNode('f32', [2, 1, 8], 'row');
    const at = position ?? g.binary('sub', g.varValue(length), g.scalar(1, 'i32'));
    const index = g.expand(g.reshape(at, [1, 1, 1]), row.shape);
    const next = g.scatter(cache, index, row, 1, 'set');
    const seen = g.shrink(next, [
      [0, 2],
      [0, length],
      [0, 8],
    ]);
    const sum = g.reduce('sum', seen, [1]);
    const inputs = position ? [cache, row, position] : [cache, row];
    return compileProgram([sum, next], inputs, { donations: new Map([[1, 0]]) });
  }

  it('writes its rows and touches nothing else', () => {
    const program = update(undefined);
    expect(program.outputs[1]).toMatchObject({ mayReuse: 0, keeps: true });
    const [writer] = program.steps.filter((s) =>
      s.places.some((p) => p.kind === 'output' && p.index === 1),
    );
    const kernel = program.kernels[writer.kernel];
    // One row of each sequence is read and written: 2 x 8 numbers, not 2 x 512 x 8.
    expect(kernel.buffers.map((b) => b.name)).toEqual(['out0', 'in0']);
    expect(kernel.buffers[1].size).toBe(16);
    expect(program.scratchBytes).toBe(0);
    expect(kernel.checks).toEqual([]);
  });

  it('copies where the position could be out of range', () => {
    const program = update(g.bufferNode('i32', [], 'position'));
    expect(program.outputs[1]).toMatchObject({ mayReuse: undefined, keeps: false });
  });

  it('keeps what others still hold, and is seen by them as it was', async () => {
    const device = wasm();
    const cache = new KVCache({ batch: 1, heads: 1, capacity: 4, size: 2, device });
    const step = jit((k: Tensor, n: Var) => {
      const { keys } = cache.updateAndFetch(k, k.mul(2), n);
      return keys.sum(2).sum();
    });
    const n = variable('n', 1, 4);
    const row = (value: number) => tensor([[[[value, value]]]], { device });
    await step(row(1), bind(n, 1));
    const memory = cache.keys.held.lazy.storage;
    const snapshot = cache.keys.value;
    await step(row(2), bind(n, 2));
    expect(await snapshot.toArray()).toEqual([
      [
        [
          [1, 1],
          [0, 0],
          [0, 0],
          [0, 0],
        ],
      ],
    ]);
    expect(await cache.keys.value.toArray()).toEqual([
      [
        [
          [1, 1],
          [2, 2],
          [0, 0],
          [0, 0],
        ],
      ],
    ]);
    expect(cache.keys.held.lazy.storage).not.toBe(memory);
    snapshot.dispose();
    expect(await (await step(row(3), bind(n, 3))).item()).toBe(12);
    expect(await cache.values.value.toArray()).toEqual([
      [
        [
          [2, 2],
          [4, 4],
          [6, 6],
          [0, 0],
        ],
      ],
    ]);
  });

  it('refuses lengths that do not fit, by name', () => {
    const cache = new KVCache({ batch: 1, heads: 1, capacity: 4, size: 2, device: wasm() });
    expect(() => cache.positions(2, 1)).toThrow('length is 1; expected a length from 2');
    expect(() => cache.positions(1, variable('far', 1, 5))).toThrow('length is "far"');
    expect(() => new KVCache({ batch: 0, heads: 1, capacity: 4, size: 2 })).toThrow('batch is 0');
  });
});

describe('decoding with caches', () => {
  it('gives the logits of the whole forward pass, prompt in pieces', async () => {
    for (const device of [wasm(), new GraphInterpreter()]) {
      await scope(async () => {
        const llama = model(device, 40);
        const caches = llama.newCaches();
        const end = variable('end', 8, 40);
        const length = variable('length', 1, 40);
        const prefill = jit((tokens: Tensor, n: Var) =>
          llama.forward(tokens, cacheState(caches, tokens.shape[1] as number, n)),
        );
        const decode = jit((tokens: Tensor, n: Var) =>
          llama.forward(tokens, cacheState(caches, tokens.shape[1] as number, n)),
        );
        const whole = await llama.forward(ids(device, 0, 26)).data();
        const close = (part: ArrayLike<number>, from: number) => {
          for (let i = 0; i < part.length; i++) {
            expect(Math.abs(part[i] - whole[from * 20 + i])).toBeLessThan(1e-4);
          }
        };
        for (const to of [8, 16, 20]) {
          // The last piece begins inside the one before: it puts the same in again.
          const part = await prefill(ids(device, to - 8, to), bind(end, to));
          close(await part.data(), to - 8);
        }
        for (let to = 21; to <= 26; to++) {
          const part = await decode(ids(device, to - 1, to), bind(length, to));
          close(await part.data(), to - 1);
        }
        expect([prefill.traces, decode.traces]).toEqual([1, 1]);
      });
    }
  });

  it('a thousand tokens: one program, memory flat, caches in place', async () => {
    const device = wasm();
    const llama = model(device, CAPACITY);
    const caches = llama.newCaches();
    await realize(...caches.flatMap((c) => [c.keys.value, c.values.value]));
    const length = variable('length', 1, CAPACITY);
    const step = jit((tokens: Tensor, n: Var) =>
      llama.forward(tokens, cacheState(caches, tokens.shape[1] as number, n)),
    );
    const at = async (position: number) => {
      const token = ids(device, position, position + 1);
      const logits = await step(token, bind(length, position + 1));
      const data = await logits.data();
      token.dispose();
      logits.dispose();
      return data;
    };
    await at(0);
    const memory = caches[1].values.held.lazy.storage;
    const bytes = device.liveBytes;
    let last: ArrayLike<number> = [];
    for (let position = 1; position < 1000; position++) last = await at(position);
    expect(step.traces).toBe(1);
    expect(device.liveBytes).toBe(bytes);
    expect(caches[1].values.held.lazy.storage).toBe(memory);
    const whole = await llama
      .forward(ids(device, 0, 1000))
      .narrow(1, 999, 1)
      .data();
    expect(last).toHaveLength(20);
    whole.forEach((v, i) => {
      expect(Math.abs(v - last[i])).toBeLessThan(1e-3);
    });
  });
});
