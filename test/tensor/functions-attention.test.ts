import { describe, expect, test } from 'vitest';
import type { DeviceName } from '../../src/device/index.ts';
import { type Var, variable } from '../../src/ir/shape.ts';
import * as F from '../../src/tensor/functions/index.ts';
import { vjp } from '../../src/tensor/grad.ts';
import { bind, jit } from '../../src/tensor/jit.ts';
import { arange, ones, type Tensor, tensor } from '../../src/tensor/tensor.ts';
import { DEVICE_NAMES } from '../support/device-names.ts';

const DEVICES: readonly DeviceName[] = DEVICE_NAMES;

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

  test('a sliding window is a mask', async () => {
    const options = { isCausal: true, enableGqa: true, queryOffset: 2 };
    const got = F.scaledDotProductAttention(q, k, v, { ...options, slidingWindow: 2 });
    const [row, key] = [arange(3, { device }).add(2).unsqueeze(1), arange(5, { device })];
    const mask = key.gt(row.sub(2)).where(key.le(row), false);
    await expectClose(got, F.scaledDotProductAttention(q, k, v, { mask, enableGqa: true }));
  });

  test('queries may follow keys that are already there', async () => {
    const [q5, options] = [numbers([2, 4, 5, 8], device), { isCausal: true, enableGqa: true }];
    const all = F.scaledDotProductAttention(q5, k, v, options);
    const offsets = [3, tensor(Int32Array.of(3), { device }).reshape([])];
    for (const queryOffset of [...offsets, tensor(Int32Array.of(3, 3), { device })]) {
      const last = F.scaledDotProductAttention(q5.narrow(2, 3, 2), k, v, {
        ...options,
        queryOffset,
      });
      await expectClose(last, all.narrow(2, 3, 2));
    }
  });

  test('a step with a symbolic number of keys is traced once', async () => {
    const length = variable('keys', 1, 5);
    const step = jit((x: Tensor, y: Tensor, z: Tensor, keys: Var) => {
      const options = { isCausal: true, enableGqa: true, queryOffset: 1 };
      const [cutY, cutZ] = [y, z].map((t) => t.narrow(2, 0, keys));
      return F.scaledDotProductAttention(x, cutY, cutZ, options);
    });
    for (const keys of [5, 2, 4]) {
      const got = await step(q, k, v, bind(length, keys) as never);
      const cut = [k, v].map((x) => x.narrow(2, 0, keys));
      const options = { isCausal: true, enableGqa: true, queryOffset: 1 };
      await expectClose(got, F.scaledDotProductAttention(q, cut[0], cut[1], options));
    }
    expect(step.traces).toBe(1);
    step.dispose();
  });

  test('a step with a symbolic number of queries at a symbolic place', async () => {
    const [rows, place] = [variable('rows', 1, 70), variable('place', 0, 9)];
    const [x, y] = [numbers([1, 1, 70, 8], device), numbers([1, 1, 79, 8], device, 2)];
    const step = jit((t: Tensor, z: Tensor, n: Var, queryOffset: Var) => {
      const options = { isCausal: true, queryOffset };
      return F.scaledDotProductAttention(t.narrow(2, 0, n), z, z, options)
        .mul(t.narrow(2, 0, n))
        .sum(2);
    });
    for (const [n, offset] of [
      [70, 9],
      [3, 0],
      [65, 4],
    ]) {
      const got = await step(x, y, bind(rows, n) as never, bind(place, offset) as never);
      const options = { isCausal: true, queryOffset: offset };
      const rowsOf = x.narrow(2, 0, n);
      const want = F.scaledDotProductAttention(rowsOf, y, y, options).mul(rowsOf).sum(2);
      await expectClose(got, want);
    }
    expect(step.traces).toBe(1);
    step.dispose();
  });

  test('keys in blocks of a pool are found through the table', async () => {
    const [keys, values] = [numbers([7, 3, 2, 8], device, 4), numbers([7, 3, 2, 6], device, 5)];
    const table = tensor(Int32Array.of(4, 0, 6, 1), { device, shape: [2, 2] });
    const gathered = [keys, values].map((pool) => {
      const [, , heads, width] = pool.shape;
      const rows = pool.embedding(table).reshape([2, 6, heads, width]);
      return rows.transpose(1, 2).narrow(2, 0, 5);
    });
    const options = { isCausal: true, queryOffset: 2 };
    const got = F.pagedAttention(q, keys, values, table, { ...options, keys: 5 });
    const want = F.scaledDotProductAttention(q, gathered[0], gathered[1], {
      ...options,
      enableGqa: true,
    });
    await expectClose(got, want);
    const grads = vjp([got], [ones(got.shape, { device })], [q, keys, values]);
    const wanted = vjp([want], [ones(got.shape, { device })], [q, keys, values]);
    for (const [i, grad] of grads.entries()) await expectClose(grad, wanted[i]);
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

test('gradients are those of differences', async () => {
  const device = 'interpret';
  const wide = (shape: number[], seed: number) => numbers(shape, device, seed).cast('f64');
  const inputs = [wide([1, 2, 3, 4], 1), wide([1, 1, 5, 4], 2), wide([1, 1, 5, 2], 3)];
  const weights = wide([1, 2, 3, 2], 4);
  const loss = ([q, k, v]: readonly Tensor[]) => {
    const options = { isCausal: true, queryOffset: 1, slidingWindow: 3, softcap: 2 };
    const y = F.scaledDotProductAttention(q, k, v, { ...options, enableGqa: true });
    return y.mul(weights).sum();
  };
  const one = ones([], { device, dtype: 'f64' });
  const grads = vjp([loss(inputs)], [one], inputs);
  const seconds = vjp([grads[0].mul(grads[0]).sum()], [one], inputs);
  const squared = (x: readonly Tensor[]) => {
    const [dq] = vjp([loss(x)], [one], x);
    return dq.mul(dq).sum();
  };
  const step = 1e-4;
  for (const [i, input] of inputs.entries()) {
    const values = Float64Array.from(await input.data());
    for (const e of [0, 3, values.length - 1]) {
      const moved = (by: number) => {
        const copy = values.slice();
        copy[e] += by;
        return inputs.map((x, j) =>
          j === i ? tensor(copy, { device, shape: x.shape as number[] }) : x,
        );
      };
      const slope = async (f: (x: readonly Tensor[]) => Tensor) =>
        ((await f(moved(step)).item()) - (await f(moved(-step)).item())) / (2 * step);
      expect((await grads[i].data())[e]).toBeCloseTo(await slope(loss), 6);
      expect((await seconds[i].data())[e]).toBeCloseTo(await slope(squared), 6);
    }
  }
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
  const attend = (options: F.AttentionOptions) => F.scaledDotProductAttention(x, x, x, options);
  expect(() => attend({ slidingWindow: 2 })).toThrow(/slidingWindow is given without isCausal/);
  expect(() => attend({ queryOffset: 2 })).toThrow(/queryOffset is given without isCausal/);
  expect(() => attend({ isCausal: true, slidingWindow: 0 })).toThrow(
    /slidingWindow is 0; expected/,
  );
  expect(() => attend({ isCausal: true, queryOffset: 4 })).toThrow(
    /queryOffset is 4; expected an integer from 0 to 3/,
  );
  expect(() => attend({ isCausal: true, queryOffset: other })).toThrow(
    /queryOffset is f32\[1, 3, 3, 4\]; expected i32\[\] or i32\[batch\]/,
  );
  const table = tensor(Int32Array.of(0), { device: 'interpret', shape: [1, 1] });
  expect(() => F.pagedAttention(x, x, x, table.reshape([1]))).toThrow(
    /table i32\[1\] do not agree/,
  );
  expect(() =>
    F.pagedAttention(x, x.transpose(1, 2), x.transpose(1, 2), table, { keys: 4 }),
  ).toThrow(/keys is 4; expected at most 3/);
  const positions = arange(3, { device: 'interpret' });
  expect(() => F.rope(x, positions, { dims: 3 })).toThrow(/dims is 3; expected an even number/);
  expect(() => F.rope(x, arange(2, { device: 'interpret' }))).toThrow(/positions are \[2\]/);
  expect(() => F.rope(x, positions, { style: 'other' as 'half' })).toThrow(/style is "other"/);
});
