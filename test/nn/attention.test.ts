import { describe, expect, test } from 'vitest';
import {
  alibiSlopes,
  cacheState,
  KVCache,
  MultiheadAttention,
  type MultiheadAttentionOptions,
  TransformerEncoderLayer,
} from '../../src/nn/index.ts';
import { scaledDotProductAttention } from '../../src/tensor/functions/index.ts';
import {
  arange,
  bind,
  concat,
  type DeviceName,
  jit,
  ones,
  random,
  type Tensor,
  tensor,
  type Var,
  variable,
} from '../../src/tensor/index.ts';
import { MACHINE_DEVICES } from '../support/device-names.ts';
import { difference } from '../support/stored.ts';

const DEVICES: readonly DeviceName[] = ['interpret', ...MACHINE_DEVICES];
const near = { rtol: 1e-4, atol: 1e-5 };

const layer = (options: MultiheadAttentionOptions, device: DeviceName) => {
  random.seed(6);
  return new MultiheadAttention(12, { device, biasInit: 'normal', ...options });
};

describe.each(DEVICES)('attention of several heads on %s', (device) => {
  random.seed(2);
  const x = random.normal([2, 6, 12], { device });
  const close = async (got: Tensor, want: Tensor) =>
    expect(difference(await got.data(), await want.data(), near)).toBeUndefined();

  test('reads a context by the rows of in_proj', async () => {
    const attention = layer({ heads: 6, kvHeads: 3 }, device);
    const context = random.normal([2, 4, 12], { device });
    const { in_proj_weight, in_proj_bias, out_proj } = attention;
    const part = (y: Tensor, from: number, heads: number) => {
      const rows = [from, heads * 2] as const;
      const bias = in_proj_bias?.value.narrow(0, ...rows);
      const z = y.linear(in_proj_weight.value.narrow(0, ...rows), bias);
      return z.reshape([2, -1, heads, 2]).transpose(1, 2);
    };
    const [q, k, v] = [part(x, 0, 6), part(context, 12, 3), part(context, 18, 3)];
    const seen = scaledDotProductAttention(q, k, v, { enableGqa: true });
    const want = out_proj.forward(seen.transpose(1, 2).reshape([2, 6, 12]));
    await close(attention.forward(x, { context }), want);
  });

  test('one head of keys and values is the same head for all', async () => {
    const shared = layer({ heads: 3, kvHeads: 1 }, device);
    const full = layer({ heads: 3 }, device);
    const repeated = (y: Tensor) => {
      const [q, k, v] = y.split([12, 4, 4], 0);
      return concat([q, k, k, k, v, v, v]);
    };
    const state = shared.stateDict();
    for (const name of ['in_proj_weight', 'in_proj_bias']) {
      state.set(name, repeated(state.get(name) as Tensor));
    }
    full.loadState(state);
    await close(shared.forward(x, { isCausal: true }), full.forward(x, { isCausal: true }));
  });

  test('ALiBi lowers scores by slope and distance, with a mask too', async () => {
    const [plain, falling] = [
      layer({ heads: 2 }, device),
      layer({ heads: 2, alibi: true }, device),
    ];
    const slopes = [1 / 16, 1 / 256];
    const distances = slopes.map((slope) =>
      Array.from({ length: 6 }, (_, i) =>
        Array.from({ length: 6 }, (_, j) => -slope * Math.abs(i - j)),
      ),
    );
    const bias = tensor([distances], { device });
    await close(falling.forward(x), plain.forward(x, { mask: bias }));
    const seen = arange(6, { device }).ne(2);
    const both = seen.where(bias, Number.NEGATIVE_INFINITY);
    const want = plain.forward(x, { mask: both, isCausal: true });
    await close(falling.forward(x, { mask: seen, isCausal: true }), want);
  });

  test('a step with a cache continues the text: GQA, scaled positions, a window', async () => {
    const rope = { theta: 100, scaling: { rope_type: 'linear', factor: 2 } } as const;
    const attention = layer({ heads: 6, kvHeads: 3, rope }, device);
    const whole = attention.forward(x, { isCausal: true });
    const cache = new KVCache({ batch: 2, heads: 3, capacity: 8, size: 2, device });
    const length = variable('length', 2, 8);
    const step = jit((piece: Tensor, n: Var) => {
      const { positions, layers } = cacheState([cache], 2, n);
      return attention.forward(piece, { positions, cache: layers[0] });
    });
    const pieces: Tensor[] = [];
    for (const n of [2, 4, 6]) pieces.push(await step(x.narrow(1, n - 2, 2), bind(length, n)));
    await close(concat(pieces, 1), whole);
    const window = attention.forward(x, { isCausal: true, slidingWindow: 2 });
    expect(difference(await window.data(), await whole.data(), near)).toMatch(/differ/);
  });
});

describe('attention', () => {
  test('slopes of ALiBi', () => {
    expect([...alibiSlopes(8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((i) => 2 ** -i));
    const expected = [2 ** -2, 2 ** -4, 2 ** -6, 2 ** -8, 2 ** -1, 2 ** -3];
    expect([...alibiSlopes(6)]).toEqual(expected);
  });

  test('begins as in PyTorch, or as told', async () => {
    random.seed(1);
    const device = 'wasm';
    const usual = new MultiheadAttention(64, { heads: 4, device });
    const largest = async (y: Tensor) => Math.max(...(await y.abs().max().data()));
    const bound = Math.sqrt(6 / (64 + 192));
    expect(await largest(usual.in_proj_weight.value)).toBeGreaterThan(0.95 * bound);
    expect(await largest(usual.in_proj_weight.value)).toBeLessThanOrEqual(bound);
    const { out_proj } = usual;
    expect(
      await largest((out_proj.weight as typeof usual.in_proj_weight).value),
    ).toBeLessThanOrEqual(1 / 8);
    const told = new MultiheadAttention(4, { heads: 2, init: 'ones', biasInit: 'ones', device });
    for (const cell of told.state().values()) expect(await largest(cell.value.sub(1))).toBe(0);
  });

  test('names what does not go together', () => {
    const device = 'wasm';
    const x = ones([1, 2, 12], { device });
    const cache = { attend: (q: Tensor) => q };
    const rotary = layer({ heads: 2, rope: {} }, device);
    expect(() => rotary.forward(x, { context: x })).toThrow(/rope is set and a context given/);
    expect(() => rotary.forward(x, { cache })).toThrow(/a cache is given without positions/);
    const falling = layer({ heads: 2, alibi: true }, device);
    expect(() => falling.forward(x, { cache })).toThrow(/alibi and a cache do not go together/);
    expect(() => layer({ heads: 4, kvHeads: 3 }, device)).toThrow(/kvHeads is 3.*divisor of 4/);
    expect(() => layer({ heads: 5 }, device)).toThrow(/headSize is 2.4/);
    expect(() => layer({ heads: 2 }, device).forward(ones([2, 12], { device }))).toThrow(
      /\[batch, time, size\]/,
    );
    const encoder = new TransformerEncoderLayer(12, { heads: 2, hidden: 8, device });
    expect(() => encoder.forward(x, { padding: ones([1, 3], { device }) })).toThrow(
      /padding is .*bool\[1, 2\]/,
    );
  });
});
