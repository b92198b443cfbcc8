import { describe, expect, it } from 'vitest';
import { kernelsOf } from '../../src/compile/code.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { constant, div, mod, sub, varIndex } from '../../src/ir/kernel/index-expr.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { runOnNative } from '../support/run-kernel.ts';

const DIVISORS = [2, 3, 5, 6, 7, 9, 10, 11, 12, 25, 100, 127, 641, 1000, 4097, 32767, 46341, 65535]
  .concat([65537, 99991, 1 << 20, 2 ** 20 + 1, 2 ** 24 - 3, 2 ** 29 + 1, 2 ** 30 - 1, 2 ** 30])
  .concat([2 ** 30 + 1, 2 ** 31 - 1]);

/** Whether the quotient by a rounded-up reciprocal is exact shows first where a remainder is largest. */
function dividends(by: number, max: number): number[] {
  const last = Math.floor(max / by);
  const multiples = [1, 2, last - 1, last, Math.floor(last / 2), Math.floor(last / 3)];
  const near = multiples.flatMap((q) => [q * by - 1, q * by, q * by + 1]);
  return [0, 1, max, max - 1, ...near].filter((x) => x >= 0 && x <= max);
}

/** n / by and n % by, and those of n - low. */
async function divided(by: number, max: number, low: number): Promise<void> {
  const [devices] = nativeDevices();
  const n = variable('n', 0, max);
  const b = new KernelBuilder(kernelsOf(devices.target));
  const out = b.buffer('out', 'i32', 4, 'out');
  const shifted = sub(varIndex(n), low);
  const results = [div(varIndex(n), by), mod(varIndex(n), by), div(shifted, by), mod(shifted, by)];
  results.forEach((index, i) => {
    b.store(out, constant(i), b.index(index));
  });
  const kernel = b.build('divided');
  verifyKernel(kernel, kernelsOf(devices.target));
  for (const x of dividends(by, max)) {
    const { buffers } = await runOnNative(devices.guarded, kernel, [new Int32Array(4)], [x]);
    const floor = (y: number) => [Math.floor(y / by), y - by * Math.floor(y / by)];
    expect([...buffers[0]], `${x} by ${by}`).toEqual([...floor(x), ...floor(x - low)]);
  }
}

describe.skipIf(WITHOUT_NATIVE)('indices as x86-64 code', () => {
  it.each(DIVISORS)('quotients and remainders by %i are exact, also below 0', async (by) => {
    await divided(by, 2 ** 31 - 1, 0);
    await divided(by, 2 ** 30, 2 ** 29 + 12345);
  });

  it('quotients of what fits no 32 bits are exact', async () => {
    for (const by of [1000, 46341, 2 ** 20 + 1, 2 ** 30 - 1]) {
      await divided(by, by * 2 ** 18 + 77, 2 ** 30);
    }
  });
});
