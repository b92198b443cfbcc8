import { mem, r64, rax, rcx, rdi } from '../../src/asm/index.ts';
import type { NativeDevice } from '../../src/device/index.ts';
import { nativeRuntime } from '../../src/device/native/support.ts';
import { codeOf } from './native-code.ts';

/** The functions beneath the device. */
export const runtime = nativeRuntime();

/** The table that a run is given, copied to its output. */
export async function readTable(
  device: NativeDevice,
  sketch: Parameters<typeof codeOf>[1],
  vars: ReadonlyMap<string, number>,
): Promise<bigint[]> {
  const entries = 6 + (sketch?.vars?.length ?? 0);
  const code = codeOf((a) => {
    a.emit('mov', rax, mem(rdi, 8));
    for (let i = 0; i < entries; i++) {
      a.emit('mov', rcx, mem(rdi, 8 * i)).emit('mov', mem(rax, 8 * i), rcx);
    }
    a.emit('xor', r64(1), r64(1));
  }, sketch);
  const executable = await device.load(code);
  const [from, to] = [device.allocate(64), device.allocate(8 * entries)];
  await executable.run([from], [to], vars);
  const bytes = device.read(to, 'u8', 8 * entries);
  executable.dispose();
  for (const a of [from, to]) device.free(a);
  return [...new BigUint64Array(bytes.buffer)];
}
