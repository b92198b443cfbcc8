import { spawn } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { BatchSampler } from '../../src/data/index.ts';
import { damageOf } from '../../src/io/index.ts';
import { Llama } from '../../src/models/index.ts';
import { AdamW } from '../../src/optim/index.ts';
import { crossEntropy, dropout } from '../../src/tensor/functions/index.ts';
import { random, type Tensor } from '../../src/tensor/index.ts';
import {
  Checkpoints,
  configOfCheckpoint,
  cosineByShare,
  newestCheckpoint,
  type RunState,
  Trainer,
  trainingLoop,
} from '../../src/train/index.ts';
import { ROOT } from '../support/source-tree.ts';
import { TEXT, tinyModel, tokenizer } from '../support/tiny.ts';

const tokens = tokenizer.encode(TEXT);
const made: { dispose(): void }[] = [];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-checkpoints-'));
});
afterEach(() => {
  for (const thing of made.splice(0)) thing.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A llama with dropout before its head: what it learns depends on the state of the generator. */
class Forgetful extends Llama {
  override loss(inputs: Tensor, targets: Tensor): Tensor {
    const logits = this.head(dropout(this.hidden(inputs), { p: 0.2 }));
    return crossEntropy(logits.reshape([-1, tokenizer.size]), targets.reshape([-1]));
  }
}

interface Made {
  readonly state: RunState;
  readonly model: Llama;
}

function makeRun(accumulate = 2): Made {
  const { config } = tinyModel();
  random.seed(5);
  const model = new Forgetful(config);
  const optimizer = new AdamW(model.parameters());
  const shape = { batch: 2, sequence: 12 };
  const trainer = new Trainer({ model, optimizer, ...shape, accumulate, clipNorm: 1 });
  const source = new BatchSampler({ tokens, ...shape, seed: 7 });
  made.push(model, trainer);
  const state = { trainer, source, schedule: cosineByShare(0.01, 0.1), cells: model.state() };
  return { state, model };
}

async function weightsOf(model: Llama): Promise<ArrayLike<number>[]> {
  return Promise.all([...model.parameters().values()].map((p) => p.held.data()));
}

const warnings: string[] = [];
const warn = (message: string) => warnings.push(message);
afterEach(() => {
  warnings.length = 0;
});

/** Runs to a step of 100; gives the losses. */
async function train({ state }: Made, until: number, path?: string) {
  const controller = new AbortController();
  const keeper = path === undefined ? undefined : new Checkpoints(state, { folder: path, warn });
  const from = path === undefined ? undefined : await resumed(keeper, path);
  const losses: number[] = [];
  const result = await trainingLoop({
    ...state,
    length: { steps: 100 },
    ...(from && { from }),
    onProgress: ({ step, loss }) => {
      losses.push(loss);
      if (step === until) controller.abort();
    },
    signal: controller.signal,
  });
  await keeper?.save(result);
  return losses;
}

async function resumed(keeper: Checkpoints | undefined, path: string) {
  const found = await newestCheckpoint(path, warn);
  return found === undefined ? undefined : keeper?.restore(found);
}

describe('a resumed run', () => {
  test('100 steps are 50 and 50 more, bit for bit, with dropout and accumulation', async () => {
    const whole = makeRun();
    const losses = await train(whole, 100);
    const path = join(folder, 'halves');
    const first = await train(makeRun(), 50, path);
    // Whatever has been drawn meanwhile must not matter.
    random.seed(99);
    await random.normal([3]).data();
    const half = makeRun();
    const second = await train(half, 100, path);
    expect([...first, ...second]).toEqual(losses);
    expect(await weightsOf(half.model)).toEqual(await weightsOf(whole.model));
    expect(new Set(losses).size).toBe(100);
    expect(warnings).toEqual([]);
  });

  test('is refused where the run is another one', async () => {
    const path = join(folder, 'other');
    await train(makeRun(), 3, path);
    const found = (await newestCheckpoint(path, warn)) as string;
    const model = tinyModel(1, 32);
    const optimizer = new AdamW(model.parameters());
    const trainer = new Trainer({ model, optimizer, batch: 2, sequence: 12 });
    made.push(model, trainer);
    const source = new BatchSampler({
      tokens: tokens.subarray(5),
      batch: 2,
      sequence: 12,
      seed: 7,
    });
    const state = { trainer, source, schedule: cosineByShare(0.01, 0.1), cells: model.state() };
    const other = new Checkpoints(state, { folder: path, warn });
    await expect(other.restore(found)).rejects.toThrow(/training\.json": state\.tokens is 1920/);
    const cells = new Map([...model.state()].slice(1));
    const fewer = new Checkpoints({ ...state, cells }, { folder: path, warn });
    await expect(fewer.restore(found)).rejects.toThrow(
      /model\.safetensors": it holds model\.embed_tokens\.weight, which this run does not have/,
    );
  });
});

describe('checkpoints', () => {
  test('are kept N at a time, with their config and further files', async () => {
    const path = join(folder, 'kept');
    const { state } = makeRun(1);
    const files = new Map([['config.json', '{}\n']]);
    const options = { folder: path, every: 2, keep: 2, config: { a: 1 }, files, warn };
    const keeper = new Checkpoints(state, options);
    await trainingLoop({ ...state, length: { steps: 9 }, keeper });
    expect(readdirSync(path).sort()).toEqual(['step-6', 'step-8']);
    expect(keeper.lastGood).toBe(join(path, 'step-8'));
    expect(readFileSync(join(path, 'step-8', 'config.json'), 'utf8')).toBe('{}\n');
    expect(await configOfCheckpoint(join(path, 'step-8'))).toEqual({ a: 1 });
    expect(warnings).toEqual([]);
  });

  const damages: [string, (path: string) => void, string][] = [
    [
      'a changed byte',
      (p) => flip(join(p, 'model.safetensors')),
      'model.safetensors does not have',
    ],
    [
      'a short file',
      (p) => truncateSync(join(p, 'optimizer.safetensors'), 100),
      'optimizer.safetensors does not have the hash that SHA256SUMS gives it',
    ],
    ['a lost file', (p) => rmSync(join(p, 'training.json')), 'training.json is missing'],
    ['no hashes', (p) => rmSync(join(p, 'SHA256SUMS')), 'SHA256SUMS is missing'],
    ['empty hashes', (p) => truncateSync(join(p, 'SHA256SUMS')), 'SHA256SUMS is empty'],
    ['other hashes', (p) => writeFileSync(join(p, 'SHA256SUMS'), 'x\n'), 'is not a list of hashes'],
  ];
  test('that are damaged are passed over, naming file and reason', async () => {
    const path = join(folder, 'damaged');
    const { state } = makeRun(1);
    const keeper = new Checkpoints(state, { folder: path, keep: damages.length + 1, warn });
    const position = { tokens: 0, seconds: 0 };
    for (let step = 0; step <= damages.length; step++) await keeper.save({ ...position, step });
    for (const [i, [, damage]] of damages.entries()) damage(join(path, `step-${i + 1}`));
    mkdirSync(join(path, '.unfinished-step-99-ab'));
    expect(await newestCheckpoint(path, warn)).toBe(join(path, 'step-0'));
    for (const [i, [, , message]] of [...damages].reverse().entries()) {
      expect(warnings[i]).toContain(`step-${damages.length - i} is damaged and passed over: `);
      expect(warnings[i]).toContain(message);
    }
    expect(readdirSync(path)).not.toContain('.unfinished-step-99-ab');
    // One that is damaged is replaced when its step comes again.
    await new Checkpoints(state, { folder: path, keep: 9, warn }).save({ ...position, step: 2 });
    expect(await newestCheckpoint(path, () => {})).toBe(join(path, 'step-2'));
  });

  test('that cannot be written are told, and training goes on', async () => {
    const path = join(folder, 'in-the-way');
    writeFileSync(path, '');
    const { state } = makeRun(1);
    const keeper = new Checkpoints(state, { folder: path, every: 2, warn });
    const result = await trainingLoop({ ...state, length: { steps: 5 }, keeper });
    expect(result.step).toBe(5);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/the checkpoint of step 2 is not saved: .*in-the-way" could not/);
    await expect(keeper.save(result)).rejects.toThrow('could not be made as a folder');
  });

  test.each([
    ['every', 0],
    ['keep', 0],
    ['seconds', 0],
  ])('refuse %s %s', (name, value) => {
    const { state } = makeRun(1);
    expect(() => new Checkpoints(state, { folder, warn, [name]: value })).toThrow(
      `${name} is 0; expected`,
    );
  });
});

test('a run that diverges names step, batch and the last good checkpoint', async () => {
  const path = join(folder, 'diverged');
  const { state, model } = makeRun(1);
  const keeper = new Checkpoints(state, { folder: path, every: 2, warn });
  const spoil = async () => {
    const parameter = [...model.parameters().values()][0];
    const bad = parameter?.held.mul(Number.NaN) as Tensor;
    parameter?.set(bad);
  };
  const run = trainingLoop({
    ...state,
    length: { steps: 9 },
    keeper,
    onProgress: ({ step }) => {
      if (step === 3) void spoil();
    },
  });
  await expect(run).rejects.toThrow(
    /^the loss of step 4 is NaN; expected a finite number\..*The batch: \{.*"drawn":3,.*\}\. The last good checkpoint is .*step-2\.$/,
  );
  expect(await damageOf(join(path, 'step-2'))).toBeUndefined();
});

/** The save loop in a process of its own; resolves with the last step it said was saved. */
function saveLoop(path: string, from: number, milliseconds: number, limit?: number) {
  const script = join(ROOT, 'test', 'support', 'save-loop.ts');
  const command = `${limit === undefined ? '' : `ulimit -f ${limit}; `}exec "$0" "$@"`;
  const child = spawn('sh', ['-c', command, process.execPath, script, path, String(from)]);
  let printed = '';
  let errors = '';
  child.stderr.on('data', (part) => {
    errors += part;
  });
  return new Promise<{ saved: number; errors: string; signal: string | null }>((resolve) => {
    child.stdout.on('data', (part) => {
      // Timed from the first save on: starting takes longer than many of them.
      if (printed === '') setTimeout(() => child.kill('SIGKILL'), milliseconds);
      printed += part;
    });
    child.on('close', (_code, signal) => {
      const steps = printed.split('\n').slice(0, -1).map(Number);
      resolve({ saved: Math.max(0, ...steps), errors, signal });
    });
  });
}

test('kill -9 at any moment leaves the last checkpoint whole', { timeout: 60_000 }, async () => {
  const path = join(folder, 'killed');
  let saved = 0;
  for (let round = 0; round < 8; round++) {
    const run = await saveLoop(path, saved + 1, Math.random() * 60);
    expect(run).toMatchObject({ errors: '', signal: 'SIGKILL' });
    expect(run.saved).toBeGreaterThan(saved);
    const found = await newestCheckpoint(path, warn);
    const step = Number(/step-(\d+)$/.exec(found ?? '')?.[1]);
    // Its name may have been there before its line was.
    expect(step - run.saved).toBeGreaterThanOrEqual(0);
    expect(step - run.saved).toBeLessThanOrEqual(1);
    saved = step;
  }
  expect(warnings).toEqual([]);
});

test('a disk that is full loses nothing and is told', async () => {
  const path = join(folder, 'full');
  await saveLoop(path, 1, 0);
  const before = (await newestCheckpoint(path, warn)) as string;
  const { errors, saved } = await saveLoop(path, 50, 60_000, 300);
  expect(saved).toBe(0);
  expect(errors).toContain(
    'model.safetensors" could not be written: the file is larger than this process may write',
  );
  expect(await newestCheckpoint(path, warn)).toBe(before);
  expect(readdirSync(path).every((name) => /^step-\d+$/.test(name))).toBe(true);
  expect(warnings).toEqual([]);
});

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
  writeFileSync(path, bytes);
}
