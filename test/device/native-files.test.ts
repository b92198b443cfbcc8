import { mkdtempSync, rmSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { makeNativeDevice, type NativeDevice } from '../../src/device/index.ts';
import { tableOfHandler } from '../../src/device/native/fault-code.ts';
import { peek, unsupported } from './native-code.ts';

const folder = mkdtempSync(join(tmpdir(), 'tersor-mapped-'));
let files = 0;

function fileOf(bytes: number): string {
  const path = join(folder, `${files++}`);
  writeFileSync(
    path,
    Uint8Array.from({ length: bytes }, (_, i) => i % 251),
  );
  return path;
}

describe.skipIf(unsupported !== undefined)('mapped files', () => {
  const open: NativeDevice[] = [];
  const make = (options: Parameters<typeof makeNativeDevice>[0] = {}) => {
    const device = makeNativeDevice({ threads: 2, worthThreads: 0, ...options });
    open.push(device);
    return device;
  };
  afterEach(async () => {
    for (const device of open.splice(0)) await device.dispose();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are read where they lie, at any offset, also when their name is gone', () => {
    const device = make();
    const path = fileOf(30_000);
    const pieces = [0, 1, 4095, 4096, 12_345].map(
      (at) => [at, device.map(path, at, 9000)] as const,
    );
    unlinkSync(path);
    for (const [at, piece] of pieces) {
      const expected = Array.from({ length: 9000 }, (_, i) => (at + i) % 251);
      expect([...device.read(piece, 'u8', 9000)]).toEqual(expected);
    }
    expect(device.liveBytes).toBe(5 * 9000);
    for (const [, piece] of pieces) device.free(piece);
    expect(device.liveBytes).toBe(0);
  });

  it('are never written', () => {
    const device = make();
    const path = fileOf(8192);
    const piece = device.map(path, 100, 64);
    const again = device.map(path, 100, 64);
    device.write(piece, new Uint8Array(64).fill(255));
    expect(device.read(piece, 'u8', 1)[0]).toBe(255);
    expect(device.read(again, 'u8', 1)[0]).toBe(100);
  });

  it('say what is wrong with a file', () => {
    const device = make();
    const path = fileOf(1000);
    expect(() => device.map(path, 990, 11)).toThrow(/cannot be mapped: it has 1000 bytes.*1001/);
    expect(() => device.map(path, -1, 10)).toThrow('offset is -1; expected an integer >= 0');
    expect(() => device.map(join(folder, 'none'), 0, 1)).toThrow(/ENOENT.*none/);
    expect(() => device.map(folder, 0, 1)).toThrow(JSON.stringify(folder));
  });

  it('end a step with an error when they are cut short, on threads and here', async () => {
    for (const worthThreads of [0, 1000]) {
      const device = make({ worthThreads });
      const path = fileOf(40_000);
      const piece = device.map(path, 10, 39_000);
      const other = device.map(path, 0, 64);
      const to = device.allocate(64);
      const executable = await device.load(peek(30_000));
      await executable.run([piece], [to], new Map());
      expect(device.read(to, 'i32', 1)[0]).toBe(30_010 % 251);
      truncateSync(path, 5000);
      await expect(async () => executable.run([piece], [to], new Map())).rejects.toThrow(
        `"${path}" was truncated while mapped`,
      );
      // What was missing once stays an error, and hurts no other piece.
      await expect(async () => executable.run([piece], [to], new Map())).rejects.toThrow(
        'truncated',
      );
      expect(() => device.read(piece, 'u8', 1)).toThrow('truncated');
      expect(device.read(other, 'u8', 2)[1]).toBe(1);
      device.free(piece);
      const whole = device.map(fileOf(40_000), 10, 39_000);
      await executable.run([whole], [to], new Map());
      expect(device.read(to, 'i32', 1)[0]).toBe(30_010 % 251);
    }
  });

  it('throw when what is read or written is gone', () => {
    const device = make();
    const path = fileOf(20_000);
    const [read, write] = [device.map(path, 0, 20_000), device.map(path, 0, 20_000)];
    truncateSync(path, 0);
    expect(() => device.read(read, 'u8', 20_000)).toThrow('was truncated while mapped');
    expect(() => device.write(write, new Uint8Array(20_000))).toThrow('was truncated while mapped');
  });

  it('are watched by one handler, in workers, too', async () => {
    const path = fileOf(20_000);
    make().map(path, 0, 1);
    const source = `
      import { parentPort } from 'node:worker_threads';
      import { truncateSync } from 'node:fs';
      import { makeNativeDevice } from ${JSON.stringify(new URL('../../src/device/index.ts', import.meta.url).href)};
      const device = makeNativeDevice({ threads: 1 });
      const piece = device.map(${JSON.stringify(path)}, 0, 20000);
      truncateSync(${JSON.stringify(path)}, 0);
      try { device.read(piece, 'u8', 20000); } catch (error) { parentPort.postMessage(error.message); }
    `;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`));
    const message = await new Promise((resolve) => worker.once('message', resolve));
    expect(message).toContain('was truncated while mapped');
    const mine = make();
    const own = fileOf(20_000);
    const piece = mine.map(own, 0, 20_000);
    truncateSync(own, 0);
    expect(() => mine.read(piece, 'u8', 20_000)).toThrow('was truncated');
    await worker.terminate();
  });

  it('leave other handlers alone', () => {
    expect(tableOfHandler(new Uint8Array(20))).toBeUndefined();
  });
});
