import { readFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { makeNativeDevice, type NativeDevice } from '../../src/device/index.ts';
import type { Allocation } from '../../src/device/types.ts';
import { failing, meeting, peek, slow, unsupported, whoAmI, type X64Code } from './native-code.ts';

const i32 = (...values: number[]) => new Int32Array(values);

describe.skipIf(unsupported !== undefined)('device native', () => {
  const open: NativeDevice[] = [];
  const make = (options: Parameters<typeof makeNativeDevice>[0] = {}): NativeDevice => {
    const device = makeNativeDevice({ threads: 3, ...options });
    open.push(device);
    return device;
  };
  const filled = (device: NativeDevice, values: Int32Array): Allocation => {
    const allocation = device.allocate(values.byteLength);
    device.write(allocation, values);
    return allocation;
  };
  const runOnce = async (device: NativeDevice, code: X64Code, input: number): Promise<number[]> => {
    const executable = await device.load(code);
    const [from, to] = [filled(device, i32(input, 0, 0, 0)), filled(device, i32(0, 0, 0, 0))];
    await executable.run([from], [to], new Map());
    const result = [...device.read(to, 'i32', 4)];
    for (const a of [from, to]) device.free(a);
    executable.dispose();
    return result;
  };
  afterEach(() => vi.unstubAllEnvs());
  afterAll(async () => {
    for (const device of open) await device.dispose();
  });

  it('keeps what is written, aligned to 64 bytes, and counts it', () => {
    const device = make();
    const sizes = [1, 63, 64, 65, 5000, 70_000, 2 ** 22];
    const pieces = sizes.map((bytes, i) => {
      const piece = device.allocate(bytes);
      device.write(piece, new Uint8Array(bytes).fill(i + 1));
      expect((piece as Allocation & { address: number }).address % 64).toBe(0);
      return piece;
    });
    pieces.forEach((piece, i) => {
      const bytes = device.read(piece, 'u8', sizes[i]) as Uint8Array;
      expect(bytes.every((b) => b === i + 1)).toBe(true);
      // A copy: what a user does to it changes nothing.
      bytes.fill(0);
      expect(device.read(piece, 'u8', 1)[0]).toBe(i + 1);
    });
    expect(device.liveBytes).toBeGreaterThanOrEqual(sizes.reduce((a, b) => a + b));
    for (const piece of pieces) device.free(piece);
    expect(device.liveBytes).toBe(0);
  });

  it('takes every class of arrays, parts of buffers and shared ones', () => {
    const device = make();
    const piece = device.allocate(64);
    device.write(piece, new Float32Array([9, 1, 2, 3]).subarray(1));
    expect([...device.read(piece, 'f32', 3)]).toEqual([1, 2, 3]);
    device.write(piece, new Uint16Array(new SharedArrayBuffer(8)).fill(7));
    expect([...device.read(piece, 'bf16', 4)]).toEqual([7, 7, 7, 7]);
    device.write(piece, new Float64Array(0));
    expect(() => device.write(piece, new Uint8Array(65))).toThrow('more data than memory');
    expect(() => device.read(piece, 'f32', 17)).toThrow('more to read than memory');
  });

  it('refuses what is beyond its limit, and goes on', () => {
    const device = make({ maximumBytes: 2 ** 26 });
    const most = device.allocate(2 ** 25);
    expect(() => device.allocate(2 ** 25 + 1)).toThrow(RangeError);
    expect(() => device.allocate(2 ** 40)).toThrow(/no memory for 1048576.0 MiB more \(32.0 MiB/);
    device.free(most);
    device.free(device.allocate(2 ** 26));
  });

  it('holds more than 4 GiB', async () => {
    const device = make();
    const bytes = 5 * 2 ** 30;
    const low = device.allocate(64);
    const large = device.allocate(bytes);
    const high = filled(device, i32(0, 0, 0, 0));
    const { address } = large as Allocation & { address: number };
    // Pages that nobody writes take no memory: its end is written through a piece of its own.
    const end: Allocation & { address: number } = { bytes: 64, address: address + bytes - 64 };
    device.write(end, new Uint8Array(64).fill(0xab));
    const executable = await device.load(peek(bytes - 1));
    await executable.run([large], [high], new Map());
    expect(device.read(high, 'i32', 1)[0]).toBe(0xab);
    expect(device.liveBytes).toBeGreaterThan(bytes);
    for (const a of [low, large, high]) device.free(a);
  });

  it('gives large memory back to the system', () => {
    const device = make();
    const piece = device.allocate(300 * 2 ** 20);
    const { address } = piece as Allocation & { address: number };
    const end: Allocation & { address: number } = { bytes: 64, address: address + 2 ** 27 };
    device.write(end, new Uint8Array(64).fill(7));
    device.free(piece);
    // The same place, which reads as zeros: the page is another one.
    const again = device.allocate(300 * 2 ** 20);
    expect((again as Allocation & { address: number }).address).toBe(address);
    expect(device.read(end, 'u8', 1)[0]).toBe(0);
    device.free(again);
  });

  it('never has memory that can be written and run', async () => {
    const { runtime } = await import('./native-runtime.ts');
    const address = runtime.code.install(new Uint8Array([0xc3]));
    const line = readFileSync('/proc/self/maps', 'utf8')
      .split('\n')
      .find((each) => {
        const [from, to] = each
          .split(' ')[0]
          .split('-')
          .map((hex) => Number.parseInt(hex, 16));
        return address >= from && address < to;
      });
    expect(line?.split(' ')[1]).toBe('r-xp');
    runtime.code.remove(address);
  });

  it('runs short programs here and long ones on its threads', async () => {
    const device = make({ worthThreads: 1000 });
    expect(await runOnce(device, whoAmI({ instructions: 999 }), 5)).toEqual([10_006, 0, 0, 0]);
    expect(await runOnce(device, whoAmI({ instructions: 1000 }), 5)).toEqual([
      10_008, 10_108, 10_208, 0,
    ]);
  });

  it('lets threads meet at the counters of a run, again and again', async () => {
    const device = make({ worthThreads: 0 });
    for (let i = 0; i < 50; i++) expect(await runOnce(device, meeting(), 0)).toEqual([3, 3, 3, 0]);
  });

  it('wakes threads that have fallen asleep', async () => {
    const device = make({ worthThreads: 0 });
    for (let i = 0; i < 10; i++) {
      expect(await runOnce(device, whoAmI(), i)).toEqual([10_003 + i, 10_103 + i, 10_203 + i, 0]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });

  it('keeps timers going while its threads run, with one thread, too', async () => {
    for (const threads of [1, 2]) {
      const device = make({ worthThreads: 0, threads });
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      expect(await runOnce(device, slow(), 1)).toEqual([1, 0, 0, 0]);
      clearInterval(timer);
      expect(turns).toBeGreaterThan(5);
    }
  });

  it('throws for an index out of range what the check says', async () => {
    for (const worthThreads of [0, 1000]) {
      const device = make({ worthThreads });
      await expect(async () => runOnce(device, failing(2), 1)).rejects.toThrow(
        'gather on axis 0 of [7]: index 9 is out of range; expected 0 to 6',
      );
      expect((await runOnce(device, whoAmI({ instructions: 10 }), 1))[0] % 10_000).toBeGreaterThan(
        1,
      );
    }
  });

  it('looks at a signal between steps, and not after the first that commits', async () => {
    const device = make({ worthThreads: 0, threads: 1 });
    const sketch = { steps: 4, instructions: 40_000_000 };
    const executable = await device.load(slow(sketch));
    const [from, to] = [filled(device, i32(0)), filled(device, i32(0))];
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(executable.run([from], [to], new Map(), aborted)).rejects.toThrow('enough');
    expect(device.read(to, 'i32', 1)[0]).toBe(0);
    await executable.run([from], [to], new Map(), new AbortController().signal);
    expect(device.read(to, 'i32', 1)[0]).toBe(1);
  });

  it('lets a program be disposed of while it runs', async () => {
    const device = make({ worthThreads: 0, threads: 2 });
    const executable = await device.load(slow());
    const [from, to] = [filled(device, i32(1)), filled(device, i32(0))];
    const running = executable.run([from], [to], new Map());
    executable.dispose();
    await running;
    expect(device.read(to, 'i32', 1)[0]).toBe(1);
    expect(() => executable.run([from], [to], new Map())).toThrow('disposed of');
  });

  it('gives values of symbolic sizes as 64 bits, and the arenas', async () => {
    const device = make({ worthThreads: 0, threads: 2 });
    const { readTable } = await import('./native-runtime.ts');
    const sketch = {
      vars: [{ kind: 'var', name: 'n', min: 0, max: 50 }] as never,
      scratchBytes: 100,
      localBytes: 64,
    };
    const slots = await readTable(device, sketch, new Map([['n', 7]]));
    // input, output, scratch, local, counters, n, control block
    expect(slots).toHaveLength(7);
    expect(slots[5]).toBe(7n);
    for (const address of [2, 3, 6]) expect(slots[address] % 64n).toBe(0n);
    expect((await readTable(device, sketch, new Map()))[5]).toBe(50n);
  });

  it('tells the time of each kernel at TERSOR_DEBUG=2', async () => {
    vi.stubEnv('TERSOR_DEBUG', '2');
    const lines: string[] = [];
    const spy = vi.spyOn(console, 'error').mockImplementation((text) => lines.push(text));
    const device = make();
    const executable = await device.load(peek(0, { steps: 2 }));
    const [from, to] = [filled(device, i32(0x1ff)), filled(device, i32(0))];
    await executable.run([from], [to], new Map());
    spy.mockRestore();
    expect(lines.join('\n')).toMatch(/run: 2 steps in [\d.]+ ms\n +0 .*step 0\n +1 .*step 1/);
    // The kernel was called, with its own record for a table.
    expect(device.read(to, 'i32', 1)[0]).toBe(0xff);
  });
});
