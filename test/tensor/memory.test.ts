import { describe, expect, it } from 'vitest';
import { device, scope, setMemoryBudget, tensor, zeros } from '../../src/tensor/index.ts';

describe('memory', () => {
  const wasm = { device: 'wasm' } as const;

  it('dispose gives bytes back, using does at the end of its block', async () => {
    const before = device('wasm').liveBytes;
    {
      using x = tensor([1, 2, 3], wasm);
      using y = x.add(1);
      await y.realize();
      expect(device('wasm').liveBytes).toBeGreaterThan(before);
    }
    expect(device('wasm').liveBytes).toBe(before);
  });

  it('a lazy value keeps what it needs after its source is disposed of', async () => {
    const before = device('wasm').liveBytes;
    const x = tensor([1, 2, 3], wasm);
    const y = x.mul(2);
    x.dispose();
    expect(await y.toArray()).toEqual([2, 4, 6]);
    y.dispose();
    expect(device('wasm').liveBytes).toBe(before);
  });

  it('scope frees all but its result, also after an error', async () => {
    const before = device('wasm').liveBytes;
    const kept = await scope(async () => {
      const x = tensor([1, 2, 3], wasm);
      const y = x.add(1);
      await y.realize();
      return y.mul(2);
    });
    expect(await kept.toArray()).toEqual([4, 6, 8]);
    kept.dispose();
    await expect(
      scope(async () => {
        await tensor([1, 2], wasm).add(1).realize();
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    expect(device('wasm').liveBytes).toBe(before);
  });

  it('a disposed tensor says so', () => {
    const x = zeros([2], wasm);
    x.dispose();
    expect(() => x.add(1)).toThrow('a disposed tensor (f32[2]) is used');
  });

  it('the budget names the largest holders', async () => {
    const big = await zeros([1000, 100], wasm).realize();
    setMemoryBudget(device('wasm').liveBytes + 1000);
    try {
      await expect(zeros([1000], wasm).add(1).realize()).rejects.toThrow(
        /memory budget.*f32\[1000, 100\]/,
      );
    } finally {
      setMemoryBudget(Number.POSITIVE_INFINITY);
      big.dispose();
    }
  });
});

it('a cast to the same type may be disposed of before what it was made from', async () => {
  const x = tensor([1, 2]).add(1);
  await x.data();
  const same = x.cast('f32');
  await same.data();
  same.dispose();
  expect(await x.add(1).toArray()).toEqual([3, 4]);
});
