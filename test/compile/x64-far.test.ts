import { describe, expect, it } from 'vitest';
import { kernelsOf } from '../../src/compile/code.ts';
import { emitX64 } from '../../src/compile/index.ts';
import { LINUX } from '../../src/device/native/libc.ts';
import { nativeRuntime } from '../../src/device/native/support.ts';
import { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub, varIndex } from '../../src/ir/kernel/index-expr.ts';
import type { KernelTarget } from '../../src/ir/kernel/types.ts';
import { verifyKernel } from '../../src/ir/kernel/verify.ts';
import { variable } from '../../src/ir/shape.ts';
import { WITHOUT_NATIVE } from '../support/device-names.ts';
import { guardedCall } from '../support/guarded-call.ts';
import { nativeTargets } from '../support/guarded-device.ts';
import { programOf } from '../support/run-kernel.ts';

/** More elements than 32 bits can address: 6 GiB, of which only a few pages are ever touched. */
const SIZE = 3 * 2 ** 29 + 64;
const FAR = 2 ** 30 + 5;
const STEP = 2 ** 29;

/** One element of x by each kind of far address, and then x[FAR] = 0.5. */
function farKernel(target: KernelTarget) {
  const b = new KernelBuilder(target);
  const x = b.buffer('x', 'f32', SIZE, 'out');
  const out = b.buffer('out', 'f32', 9 + b.lanes, 'out');
  const n = varIndex(variable('n', 0, 3));
  const at: Index[] = [
    constant(FAR),
    mul(n, STEP),
    add(mul(n, STEP), 7),
    sub(constant(3 * STEP), mul(n, STEP)),
    add(n, 2 ** 29 - 1),
    add(n, 3 * STEP),
  ];
  at.forEach((index, i) => {
    b.store(out, constant(i), b.load(x, index));
  });
  b.loop(3, 'serial', [], (i) => {
    b.store(out, add(i, at.length), b.load(x, add(mul(i, STEP), 9)));
  });
  b.store(out, add(b.laneIndex, 9), b.load(x, add(b.laneIndex, FAR)));
  b.store(x, constant(FAR), b.const('f32', 0.5));
  const kernel = b.build('far');
  verifyKernel(kernel, target);
  return kernel;
}

describe.skipIf(WITHOUT_NATIVE).each(nativeTargets())('far addresses, $isa', (target) => {
  it('are reached beyond 4 GiB', () => {
    const { system, code: memory } = nativeRuntime();
    const { PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE } = LINUX;
    const map = (bytes: number) => {
      const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
      const address = system.libc.mmap(0, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
      if (address < 0) throw new Error(`the system gives no ${bytes} bytes of address space`);
      return address;
    };
    const kernel = farKernel(kernelsOf(target));
    const code = emitX64(programOf(kernel), target);
    const [x, out, record] = [map(4 * SIZE), map(4096), map(4096)];
    const address = memory.install(code.bytes);
    try {
      const places = [
        ...[FAR, STEP * 2, STEP * 2 + 7, STEP, 2 ** 29 + 1, 3 * STEP + 2],
        ...[9, STEP + 9, 2 * STEP + 9],
      ];
      places.forEach((at, i) => {
        system.libc.copyIn(x + 4 * at, Float32Array.of(i + 1), 4);
      });
      // Buffers, the var, then counters, threads and control block, which it does not use.
      const words = BigUint64Array.from([x, out, 2, 0, 1, 0].map(BigInt));
      system.libc.copyIn(record, words, words.byteLength);
      guardedCall()(address + code.kernelEntries[0], record);
      const got = new Float32Array(9 + kernel.lanes);
      system.libc.copyOut(got, out, got.byteLength);
      const element = (at: number) => places.indexOf(at) + 1;
      const vector = Array.from({ length: kernel.lanes }, (_, lane) => element(FAR + lane));
      expect([...got]).toEqual([...places.map(element), ...vector]);
      const after = new Float32Array(1);
      system.libc.copyOut(after, x + 4 * FAR, 4);
      expect(after[0]).toBe(0.5);
    } finally {
      memory.remove(address);
      system.libc.munmap(x, 4 * SIZE);
      system.libc.munmap(out, 4096);
      system.libc.munmap(record, 4096);
    }
  });
});
