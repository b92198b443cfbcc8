import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { arange, ones, type Tensor, tensor } from '../../src/tensor/tensor.ts';

const DEVICES: readonly DeviceName[] = ['interpret', 'interpret-kernels', 'wasm'];

/** Numbers that look random. */
function numbers(shape: readonly number[], device: DeviceName, seed = 1): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin((i + 1) * 12.9898 * seed));
  return tensor(values, { shape, device });
}

async function expectClose(got: Tensor, want: Tensor): Promise<void> {
  expect(got.shape).toEqual(want.shape);
  const [a, b] = [await got.data(), await want.data()];
  a.forEach((value, i) => {
    expect(value).toBeCloseTo(b[i], 5);
  });
}

describe.each(DEVICES)('attention on %s', (device) => {
  const q = numbers([2, 4, 3, 8], device);
  const k = numbers([2, 2, 5, 8], device, 2);
  const v = numbers([2, 2, 5, 6], device, 3);

  test('heads of a group share keys and values as if those were repeated', async () => {
    const options = { isCausal: true, softcap: 2 };
    const shared = F.scaledDotProductAttention(q, k, v, { ...options, enableGqa: true });
    const [keys, values] = [k, v].map((x) => x.repeatInterleave(2, 1));
    await expectClose(shared, F.scaledDotProductAttention(q, keys, values, options));
  });

  test('masks of fewer axes mean all of them', async () => {
    const seen = tensor([[true, false, true, true, false]], { device });
    const added = seen.where(0, Number.NEGATIVE_INFINITY);
    const want = F.scaledDotProductAttention(q, k, v, {
      mask: seen.expand([2, 4, 3, 5]),
      enableGqa: true,
    });
    for (const mask of [seen, added, seen.expand([2, 1, 1, 5]), added.reshape([5])]) {
      await expectClose(F.scaledDotProductAttention(q, k, v, { mask, enableGqa: true }), want);
    }
  });

  test('each head may have its mask', async () => {
    const perHead = arange(4, { device }).reshape([4, 1, 1]).le(arange(5, { device }));
    const options = { mask: perHead.expand([4, 3, 5]), enableGqa: true };
    const all = F.scaledDotProductAttention(q, k, v, options);
    const third = F.scaledDotProductAttention(
      q.narrow(1, 2, 1),
      k.narrow(1, 1, 1),
      v.narrow(1, 1, 1),
      { mask: arange(5, { device }).ge(2).reshape([1, 5]) },
    );
    await expectClose(all.narrow(1, 2, 1), third);
  });

  test('a query that sees nothing gets zeros and gives no gradient', async () => {
    const mask = tensor([[true], [false], [true]], { device }).expand([3, 5]);
    const output = F.scaledDotProductAttention(q, k, v, { mask, enableGqa: true });
    const grads = vjp([output], [ones(output.shape, { device })], [q, k, v]);
    expect(new Set(await output.narrow(2, 1, 1).data())).toEqual(new Set([0]));
    expect(new Set(await grads[0].narrow(2, 1, 1).abs().data())).toEqual(new Set([0]));
    for (const grad of grads) {
      expect((await grad.data()).every((x: number) => Number.isFinite(x))).toBe(true);
    }
  });

  test('rope: scores depend on the distance alone', async () => {
    const [x, y] = [numbers([1, 1, 1, 8], device), numbers([1, 1, 1, 8], device, 2)];
    const at = (p: number) => tensor(Int32Array.of(p), { device });
    for (const style of ['half', 'interleaved'] as const) {
      const score = (p: number, r: number) =>
        F.rope(x, at(p), { style })
          .mul(F.rope(y, at(r), { style }))
          .sum();
      await expectClose(score(3, 1), score(12, 10));
      expect(Math.abs((await score(3, 1).item()) - (await score(3, 2).item()))).toBeGreaterThan(
        1e-3,
      );
    }
  });

  test('rope: members of a batch may stand at different positions', async () => {
    const positions = tensor(Int32Array.of(0, 1, 2, 7, 8, 9), { device, shape: [2, 3] });
    const both = F.rope(q, positions, { dims: 4 });
    const second = F.rope(q.narrow(0, 1, 1), positions.select(0, 1), { dims: 4 });
    await expectClose(both.narrow(0, 1, 1), second);
    await expectClose(both.narrow(3, 4, 4), q.narrow(3, 4, 4));
  });

  test('rope: frequencies of one’s own', async () => {
    const positions = arange(3, { device });
    const frequencies = tensor([1, 0.1, 0.01, 0.001], { device });
    await expectClose(F.rope(q, positions, { frequencies }), F.rope(q, positions));
  });
});

test('operands that do not fit are named', () => {
  const x = numbers([1, 2, 3, 4], 'interpret');
  const other = numbers([1, 3, 3, 4], 'interpret');
  expect(() => F.scaledDotProductAttention(x.select(0, 0), x, x)).toThrow(
    /q is \[2, 3, 4\]; expected \[batch, heads, time, d\]/,
  );
  expect(() => F.scaledDotProductAttention(other, x, x, { enableGqa: true })).toThrow(
    /heads of k is 2; expected a divisor of 3/,
  );
  expect(() => F.scaledDotProductAttention(x, other, other)).toThrow(/heads of k is 3; expected 2/);
  expect(() => F.scaledDotProductAttention(x, x, x.narrow(2, 0, 2))).toThrow(/do not agree/);
  const positions = arange(3, { device: 'interpret' });
  expect(() => F.rope(x, positions, { dims: 3 })).toThrow(/dims is 3; expected an even number/);
  expect(() => F.rope(x, arange(2, { device: 'interpret' }))).toThrow(/positions are \[2\]/);
  expect(() => F.rope(x, positions, { style: 'other' as 'half' })).toThrow(/style is "other"/);
});
