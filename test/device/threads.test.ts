import { describe, expect, it } from 'vitest';
import { WasmDevice } from '../../src/device/index.ts';
import { jit, type Tensor, tensor, zeros } from '../../src/tensor/index.ts';

describe('threads', () => {
  const device = new WasmDevice({ relaxedSimd: true, threads: 4, worthThreads: 0 });

  it('agree on which step found an index out of range, and go on', async () => {
    const table = zeros([1000], { device });
    const many = tensor(new Int32Array(200_000), { device });
    const few = zeros([7], { device });
    const wrong = tensor(new Int32Array(64).fill(9), { device });
    const right = tensor(new Int32Array(64).fill(6), { device });
    const both = jit((a: Tensor, b: Tensor, c: Tensor, d: Tensor) => [
      a.gather(0, b),
      c.gather(0, d),
    ]);
    for (let i = 0; i < 10; i++) {
      await expect(both(table, many, few, wrong)).rejects.toThrow('index 9 is out of range');
      for (const t of await both(table, many, few, right)) t.dispose();
    }
  }, 20_000);

  it('let the process go on with other work while they run', async () => {
    const x = zeros([512, 512], { device });
    const step = jit((a: Tensor) => a.matmul(a).matmul(a));
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    for (let i = 0; i < 20; i++) (await step(x)).dispose();
    clearInterval(timer);
    expect(turns).toBeGreaterThan(5);
  });

  it('end with their device', async () => {
    await device.dispose();
  });
});
