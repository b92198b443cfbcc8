import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import { readBreadcrumb } from '../../src/device/index.ts';
import { unsupported } from './native-code.ts';

const PREAMBLE = `
  import { makeNativeDevice } from ${JSON.stringify(new URL('../../src/device/index.ts', import.meta.url).href)};
  import * as made from ${JSON.stringify(new URL('./native-code.ts', import.meta.url).href)};
  const start = async (code, input, options) => {
    const device = makeNativeDevice({ threads: 2, worthThreads: 0, ...options });
    const executable = await device.load(code);
    const [from, to] = [device.allocate(64), device.allocate(64)];
    device.write(from, new Int32Array([input]));
    device.write(to, new Int32Array(16));
    const run = () => executable.run([from], [to], new Map());
    return { device, run, from, to, result: () => device.read(to, 'i32', 1)[0] };
  };
`;

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly output: string;
  readonly seconds: number;
}

/** Runs a script in a process of its own. */
function inProcess(script: string, env: Record<string, string> = {}): Promise<Ended> {
  const started = performance.now();
  const args = ['--input-type=module', '-e', PREAMBLE + script];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, output, seconds: (performance.now() - started) / 1000 });
    });
  });
}

/** A run that would take minutes. */
const ENDLESS = 'const { run, device, result } = await start(made.slow(), 1000);';
const folder = mkdtempSync(join(tmpdir(), 'tersor-native-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(unsupported !== undefined)('a process with device native', () => {
  it('ends by itself while its threads sleep', async () => {
    const ended = await inProcess(`
      const { run, result } = await start(made.slow(), 0);
      await run();
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.log('result', result());
    `);
    expect(ended).toMatchObject({ code: 0, output: 'result 1\n' });
  });

  it('waits for a run in progress, and for nothing else', async () => {
    const ended = await inProcess(`
      const { run, result } = await start(made.slow(), 1);
      run().then(() => console.log('result', result()));
    `);
    expect(ended).toMatchObject({ code: 0, output: 'result 1\n' });
  });

  it('exits in the middle of a run', async () => {
    const ended = await inProcess(`${ENDLESS} run(); setTimeout(() => process.exit(3), 50);`);
    expect(ended).toMatchObject({ code: 3, signal: null, output: '' });
    expect(ended.seconds).toBeLessThan(20);
  });

  it('dies of an uncaught error in the middle of a run', async () => {
    const ended = await inProcess(
      `${ENDLESS} run(); setTimeout(() => { throw new Error('oh') }, 9);`,
    );
    expect(ended.code).toBe(1);
    expect(ended.output).toContain('Error: oh');
    expect(ended.seconds).toBeLessThan(20);
  });

  it('hears signals in the middle of a run', async () => {
    const ended = await inProcess(`
      ${ENDLESS}
      process.on('SIGTERM', () => { console.log('heard'); process.exit(5); });
      run();
      setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
    `);
    expect(ended).toMatchObject({ code: 5, output: 'heard\n' });
  });

  it('works beside others', async () => {
    const script = `
      const { run, result } = await start(made.meeting(), 0);
      for (let i = 0; i < 20; i++) await run();
      console.log('result', result());
    `;
    const all = await Promise.all([1, 2, 3].map(() => inProcess(script)));
    for (const ended of all) expect(ended).toMatchObject({ code: 0, output: 'result 2\n' });
  });

  it('dies where code leaves its memory', async () => {
    for (const distance of [-4096, -(2 ** 20), 2 ** 28]) {
      const ended = await inProcess(`
        const { run } = await start(made.peek(${distance}), 0, { worthThreads: 1000 });
        console.log('before');
        await run();
        console.log('after');
      `);
      expect(ended).toMatchObject({ code: null, signal: 'SIGSEGV', output: 'before\n' });
    }
  });

  it('leaves behind which kernel ran when it crashed', async () => {
    const file = join(folder, 'breadcrumb');
    const script = (distance: number) => `
      const { run, result } = await start(made.peek(${distance}, { steps: 2 }), 7);
      await run();
      console.log('result', result());
    `;
    const env = { TERSOR_BREADCRUMB: file };
    expect(await inProcess(script(0), env)).toMatchObject({ code: 0, output: 'result 7\n' });
    expect(readBreadcrumb(file)).toBeUndefined();
    expect(await inProcess(script(-4096), env)).toMatchObject({ signal: 'SIGSEGV' });
    expect(readBreadcrumb(file)).toBe('probe (kernel 0): step 0');
  });

  it('leaves faults that are not its own to whoever had them before', async () => {
    const ended = await inProcess(`
      const { device } = await start(made.slow(), 0);
      device.map(process.execPath, 0, 100);
      process.kill(process.pid, 'SIGBUS');
      setTimeout(() => console.log('alive'), 200);
    `);
    expect(ended).toMatchObject({ code: null, signal: 'SIGBUS', output: '' });
  });

  it('takes the instructions that TERSOR_ISA names, or says that they are missing', async () => {
    const script = 'console.log(makeNativeDevice().target.isa)';
    const { output } = await inProcess(script);
    expect(['avx2\n', 'avx512\n']).toContain(output);
    expect((await inProcess(script, { TERSOR_ISA: 'avx2' })).output).toBe('avx2\n');
    expect((await inProcess(script, { TERSOR_ISA: 'none' })).output).toContain(
      'TERSOR_ISA is none',
    );
    expect((await inProcess(script, { TERSOR_ISA: 'mmx' })).output).toContain(
      'TERSOR_ISA is mmx; expected avx2, avx512, none or nothing',
    );
  });

  it('binds threads to processors where it is asked to', async () => {
    const script = `
      import { readdirSync, readFileSync } from 'node:fs';
      const { run } = await start(made.meeting(), 0);
      await run();
      const masks = readdirSync('/proc/self/task').map((task) =>
        /Cpus_allowed_list:\\s+(.*)/.exec(readFileSync('/proc/self/task/' + task + '/status', 'utf8'))[1]);
      console.log(masks.filter((mask) => /^\\d+$/.test(mask)).length >= 2 ? 'bound' : 'free');
    `;
    expect((await inProcess(script, { TERSOR_PIN: '1' })).output).toBe('bound\n');
  });
});

describe.skipIf(unsupported !== undefined)('a worker with device native', () => {
  const work = (script: string) => new Worker(PREAMBLE_URL(script));
  const PREAMBLE_URL = (script: string) =>
    new URL(`data:text/javascript,${encodeURIComponent(PREAMBLE + script)}`);
  const threadCount = () => readdirSync('/proc/self/task').length;
  const until = async (condition: () => boolean) => {
    for (let i = 0; i < 400 && !condition(); i++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    expect(condition()).toBe(true);
  };

  it('has a pool of its own, and all of it goes when it is terminated in the middle of a run', async () => {
    const before = threadCount();
    const worker = work(`
      import { parentPort } from 'node:worker_threads';
      const { run } = await start(made.slow(), 2);
      run();
      parentPort.postMessage('runs');
    `);
    await new Promise((resolve) => worker.once('message', resolve));
    expect(threadCount()).toBeGreaterThanOrEqual(before + 2);
    await worker.terminate();
    // The threads finish their run, and see within a second that nobody waits for them.
    await until(() => threadCount() <= before);
  });

  it('leaves neither memory nor mapped files behind', async () => {
    const path = join(folder, 'mapped');
    writeFileSync(path, new Uint8Array(10_000));
    const maps = () => readFileSync('/proc/self/maps', 'utf8');
    const space = () => Number(/^VmSize:\s+(\d+) kB/m.exec(status())?.[1]) / 2 ** 20;
    const status = () => readFileSync('/proc/self/status', 'utf8');
    const before = space();
    const worker = work(`
      import { parentPort } from 'node:worker_threads';
      const { device } = await start(made.slow(), 0, { maximumBytes: 2 ** 39 });
      device.map(${JSON.stringify(path)}, 0, 10000);
      device.map(${JSON.stringify(path)}, 5000, 5000);
      parentPort.postMessage('mapped');
    `);
    await new Promise((resolve) => worker.once('message', resolve));
    expect(maps()).toContain(path);
    expect(space() - before).toBeGreaterThan(500);
    await worker.terminate();
    await until(() => !maps().includes(path) && space() - before < 100);
  });

  it('ends by itself, and its threads follow', async () => {
    const before = threadCount();
    const worker = work(`
      import { parentPort } from 'node:worker_threads';
      const { run, result } = await start(made.meeting(), 0);
      await run();
      parentPort.postMessage(result());
    `);
    const result = new Promise((resolve) => worker.once('message', resolve));
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    expect(await result).toBe(2);
    expect(await ended).toBe(0);
    await until(() => threadCount() <= before);
  });
});
