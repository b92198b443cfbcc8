import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type Device,
  GraphInterpreter,
  KernelInterpreter,
  WasmDevice,
} from '../../src/device/index.ts';
import { runInSlices } from '../../src/device/slices.ts';
import {
  Cell,
  jit,
  random,
  scope,
  type Tensor,
  tensor,
  valueAndGrad,
} from '../../src/tensor/index.ts';
import { namedNativeDevices } from '../support/native-devices.ts';

const devices = [
  ['wasm', new WasmDevice({ relaxedSimd: true, threads: 1 })],
  ['wasm, 2 threads', new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 })],
  ...namedNativeDevices(),
  ['kernel interpreter', new KernelInterpreter()],
  ['graph interpreter', new GraphInterpreter()],
] as const;

/** Threads of their own stop between kernels: one thread that calls and runs itself does not. */
const native = namedNativeDevices()
  .filter(([name]) => name.includes('threads'))
  .map(([name, device]) => [name, device, 256, 60] as const);

const counterOn = (device: Device, value = 1) => new Cell(tensor([value], { device }), 'counter');

describe.each(devices)('the queue of %s', (_name, device) => {
  it('runs calls in the order in which they are made, compiled or not', async () => {
    const cell = counterOn(device);
    const double = jit(() => cell.set(cell.value.mul(2)));
    const add = jit((x: Tensor) => {
      cell.set(cell.value.add(x));
      return cell.value.mul(1);
    });
    const three = tensor([3], { device });
    (await add(three)).dispose();
    // The first has yet to be compiled, the second is ready.
    const calls = [double(), add(three), double(), add(three)] as const;
    const [, first, , second] = await Promise.all(calls);
    expect([await first.item(), await second.item()]).toEqual([11, 25]);
    expect(await cell.value.item()).toBe(25);
  });

  it('training and inference side by side see whole updates', async () => {
    const w = new Cell(tensor([0, 0, 0], { device }), 'w');
    const bias = new Cell(tensor([0, 0, 0], { device }), 'bias');
    const x = tensor([1, 2, 3], { device });
    const train = jit((input: Tensor) => {
      const { value, grads } = valueAndGrad((c: Cell) => c.value.mul(input).sub(1).square().sum())(
        w,
      );
      w.set(w.value.sub(grads.mul(0.05)));
      bias.set(bias.value.add(1));
      return value;
    });
    const infer = jit((input: Tensor) => [w.value.mul(input), bias.value.mul(1)] as const);
    const alone: number[][] = [];
    const results = [];
    for (let i = 0; i < 5; i++) {
      const trained = train.with({ signal: new AbortController().signal })(x);
      results.push(infer(x));
      trained.then((loss) => loss.dispose());
    }
    for (const [i, result] of (await Promise.all(results)).entries()) {
      const [y, count] = [await result[0].data(), await result[1].data()];
      expect([...count]).toEqual([i + 1, i + 1, i + 1]);
      alone.push([...y]);
    }
    expect(new Set(alone.map(String)).size).toBe(5);
  });

  it('a call that waits is cancelled at once and never runs', async () => {
    const cell = counterOn(device);
    const add = jit((x: Tensor) => cell.set(cell.value.add(x)));
    const one = tensor([1], { device });
    await add(one);
    const controller = new AbortController();
    const reason = new Error('enough');
    const first = add(one);
    const second = add.with({ signal: controller.signal })(one);
    const third = add(one);
    controller.abort(reason);
    await expect(second).rejects.toBe(reason);
    await Promise.all([first, third]);
    expect(await cell.value.item()).toBe(4);
    await expect(add.with({ signal: AbortSignal.abort() })(one)).rejects.toMatchObject({
      name: 'AbortError',
    });
    expect(await cell.value.item()).toBe(4);
  });

  it('goes on after a step that throws, which has changed nothing', async () => {
    const table = new Cell(
      tensor(
        [
          [1, 2],
          [3, 4],
        ],
        { device },
      ),
      'table',
    );
    const other = counterOn(device, 10);
    const step = jit((index: Tensor) => {
      other.set(other.value.add(1));
      table.set(
        table.value.scatterAdd(
          0,
          index.reshape([1, 1]).expand([1, 2]),
          table.value.narrow(0, 0, 1),
        ),
      );
      return table.value.embedding(index).sum();
    });
    const at = (i: number) => tensor([i], { device, dtype: 'i32' });
    const calls = [step(at(0)), step(at(2)), step(at(1))];
    const [good, bad, after] = await Promise.allSettled(calls);
    expect([good.status, bad.status, after.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((bad as PromiseRejectedResult).reason).toBeInstanceOf(RangeError);
    expect(await table.value.toArray()).toEqual([
      [2, 4],
      [5, 8],
    ]);
    expect(await other.value.item()).toBe(12);
  });

  it('says what becomes of things that are disposed of while a call waits', async () => {
    const cell = counterOn(device);
    const add = jit((x: Tensor) => {
      cell.set(cell.value.add(x));
      return cell.value.mul(2);
    });
    const five = tensor([5], { device });
    const waiting = add(five);
    // Arguments may go as soon as the call is made, and so may the function.
    five.dispose();
    add.dispose();
    expect(await (await waiting).item()).toBe(12);
    // A cell must live until the run begins.
    const later = add(tensor([1], { device }));
    cell.dispose();
    await expect(later).rejects.toThrow('a disposed tensor');
    const alive = counterOn(device, 3);
    expect(await alive.value.item()).toBe(3);
  });
});

describe('cancelling a step that runs', () => {
  const long = async (device: Device, size: number, layers: number) => {
    const w = new Cell(await random.normal([size, size], { device }).mul(0.05).realize(), 'w');
    const count = counterOn(device);
    const step = jit((x: Tensor) => {
      let h = x;
      for (let i = 0; i < layers; i++) h = h.matmul(w.value).tanh();
      w.set(w.value.add(h.mul(0.001)));
      count.set(count.value.add(1));
      return h.sum();
    });
    return { w, count, step, x: await random.normal([size, size], { device }).realize() };
  };

  it.each([
    ['wasm', new WasmDevice({ relaxedSimd: true, threads: 1 }), 256, 60],
    ...native,
    [
      'wasm, 2 threads',
      new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 }),
      256,
      60,
    ],
  ] as const)(
    'stops between kernels on %s and changes nothing',
    async (_name, device, size, layers) => {
      await scope(async () => {
        const { w, count, step, x } = await long(device, size, layers);
        (await step.with({ signal: new AbortController().signal })(x)).dispose();
        const values = () => scope(async () => w.value.data());
        const before = await values();
        const bytes = device.liveBytes;
        const controller = new AbortController();
        const run = step.with({ signal: controller.signal })(x);
        const next = step(x);
        // The event loop turns while the step runs, and so the timer fires.
        setTimeout(() => controller.abort(), 1);
        await expect(run).rejects.toMatchObject({ name: 'AbortError' });
        (await next).dispose();
        expect(await count.value.item()).toBe(3);
        expect(device.liveBytes).toBe(bytes);
        const again = new AbortController();
        const stopped = expect(step.with({ signal: again.signal })(x)).rejects.toThrow('stop');
        setTimeout(() => again.abort(new Error('stop')), 1);
        const after = await values();
        expect([...after]).not.toEqual([...before]);
        await stopped;
        expect([...(await values())]).toEqual([...after]);
      });
    },
  );

  it('looks at the signal until the first step that writes over an input', async () => {
    const steps = [9e6, 1, 1, 9e6, 9e6].map((instructions) => ({ instructions }));
    const run = async (abortAfter: number, firstCommit: number) => {
      const controller = new AbortController();
      const ran: string[] = [];
      const program = { steps, firstCommit } as unknown as Parameters<typeof runInSlices>[0];
      const result = runInSlices(
        program,
        (from, to) => {
          ran.push(`${from}-${to}`);
          if (to > abortAfter) controller.abort();
          return 0;
        },
        controller.signal,
      );
      return [ran, await result.then(String, (e: Error) => e.name)];
    };
    expect(await run(0, 5)).toEqual([['0-1'], 'AbortError']);
    expect(await run(9, 5)).toEqual([['0-1', '1-4', '4-5'], '0']);
    // From step 2 on the program commits: it is not joined with what comes before.
    expect(await run(1, 2)).toEqual([['0-1', '1-2'], 'AbortError']);
    expect(await run(2, 2)).toEqual([['0-1', '1-2', '2-4', '4-5'], '0']);
  });
});

describe('what is kept', () => {
  /** Counts the programs that it holds. */
  class Counting extends WasmDevice {
    programs = 0;

    constructor() {
      super({ relaxedSimd: true, threads: 1 });
    }

    override async load(code: Parameters<WasmDevice['load']>[0]) {
      const executable = await super.load(code);
      this.programs++;
      return {
        ...executable,
        dispose: () => {
          this.programs--;
          executable.dispose();
        },
      };
    }
  }

  const settled = () => new Promise((resolve) => setTimeout(resolve));

  it('a function keeps 16 programs, and none when it is disposed of', async () => {
    await scope(async () => {
      const device = new Counting();
      const outer = await tensor([1], { device }).realize();
      const bytes = device.liveBytes;
      const add = jit((x: Tensor) => x.add(outer));
      for (let size = 1; size <= 20; size++) {
        const x = tensor(new Float32Array(size), { device });
        for (const t of [await add(x), x]) t.dispose();
      }
      await settled();
      expect([add.traces, device.programs]).toEqual([20, 16]);
      add.dispose();
      await settled();
      expect(device.programs).toBe(0);
      expect(device.liveBytes).toBe(bytes);
    });
  });

  it('a device keeps 256 programs of single tensors', async () => {
    await scope(async () => {
      const device = new Counting();
      const x = tensor([1, 2], { device });
      for (let i = 0; i < 270; i++) {
        const y = x.add(i);
        await y.realize();
        y.dispose();
      }
      await settled();
      expect(device.programs).toBe(256);
    });
  });
});

describe('traces', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
  });

  it('tell which argument changed, and warn once of too many', async () => {
    vi.stubEnv('TERSOR_DEBUG', '1');
    const lines: string[] = [];
    vi.spyOn(console, 'error').mockImplementation((line: string) => lines.push(line));
    const device = new WasmDevice({ relaxedSimd: true, threads: 1 });
    const scale = jit(function scale(x: Tensor, options: { by: number; mask?: Tensor }) {
      return x.mul(options.by);
    });
    const x = (size: number) => tensor(new Float32Array(size), { device });
    const said = async (...args: Parameters<typeof scale>) => {
      lines.length = 0;
      (await scale(...args)).dispose();
      return lines.filter((line) => line.startsWith('jit:'));
    };
    expect(await said(x(3), { by: 2 })).toEqual([]);
    expect(await said(x(3), { by: 2 })).toEqual([]);
    expect(await said(x(4), { by: 2 })).toEqual([
      'jit: trace 2 of scale: argument [0] is f32[4], was f32[3]',
    ]);
    expect(await said(x(4), { by: 3, mask: x(1) })).toEqual([
      'jit: trace 3 of scale: argument [1].by is 3, was 2; argument [1].mask is f32[1], new',
    ]);
    for (let size = 5; size <= 17; size++) expect(await said(x(size), { by: 2 })).toHaveLength(1);
    expect((await said(x(18), { by: 2 }))[1]).toContain('scale was traced 17 times and keeps 16');
    expect(await said(x(19), { by: 2 })).toHaveLength(1);
    expect(await said(x(3), { by: 2 })).toEqual([
      'jit: trace 19 of scale: argument [0] is f32[3], was f32[5]',
    ]);
    expect(scale.traces).toBe(19);
  });

  it('a function serves one device', async () => {
    const [one, two] = devices.slice(0, 2).map(([, device]) => tensor([1], { device }));
    const double = jit((x: Tensor) => x.mul(2));
    await double(one);
    await expect(double(two)).rejects.toThrow('an argument or cell is on wasm');
  });

  it('refuses results that would have gaps', async () => {
    const { bind, variable } = await import('../../src/tensor/index.ts');
    const n = variable('n', 1, 8);
    const [, device] = devices[0];
    const part = jit((x: Tensor, length: typeof n) => x.narrow(1, 0, length));
    const x = tensor(new Float32Array(16), { shape: [2, 8], device });
    await expect(part(x, bind(n, 3))).rejects.toThrow(
      'a result has shape [2, n]; expected symbolic axes in front only',
    );
  });
});
