import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeSafetensors } from '../../src/io/index.ts';
import { loadModel } from '../../src/models/index.ts';
import { device } from '../../src/tensor/index.ts';
import {
  metricsIn,
  type RunAbout,
  type RunOptions,
  type RunSettings,
  resolveRun,
  runTraining,
} from '../../src/train/index.ts';
import { insist } from '../../src/train/run/saving.ts';
import { TEXT } from '../support/tiny.ts';

let folder = '';
let book = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tersor-run-'));
  book = join(folder, 'book.txt');
  writeFileSync(book, TEXT);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function settings(name: string, more: RunSettings = {}): RunSettings {
  return {
    data: { path: book },
    model: { layers: 1, width: 16, heads: 2, context: 16 },
    train: { steps: 12, batch: 2, evalEvery: 4, ...more.train },
    checkpoints: { every: 5 },
    ...(more.optimizer && { optimizer: more.optimizer }),
    ...(more.schedule && { schedule: more.schedule }),
    out: join(folder, name),
  };
}

/** A run to its end, its model freed. */
async function run(name: string, more: RunSettings = {}, options: Partial<RunOptions> = {}) {
  const warnings: string[] = [];
  let about: RunAbout | undefined;
  const outcome = await runTraining({
    config: resolveRun(settings(name, more)),
    warn: (message) => warnings.push(message),
    onStart: (found) => {
      about = found;
    },
    ...options,
  });
  outcome.prepared.model.dispose();
  return { outcome, warnings, about: about as unknown as RunAbout };
}

async function losses(name: string): Promise<number[]> {
  return (await metricsIn(join(folder, name, 'metrics.jsonl'))).map(({ loss }) => loss);
}

describe('runTraining', () => {
  test('leaves a folder with the model, the settings in full, checkpoints and logs', async () => {
    const base = device().liveBytes;
    const { outcome, warnings, about } = await run('whole');
    expect(warnings).toEqual([]);
    expect(outcome).toMatchObject({ step: 12, aborted: false });
    expect(about.parameters).toBe(about.trainable);
    expect(about.memory.total).toBeLessThan(about.limit);
    const out = join(folder, 'whole');
    for (const file of ['config.json', 'model.safetensors', 'run.json', 'loss.svg']) {
      expect(existsSync(join(out, file)), file).toBe(true);
    }
    expect(readdirSync(join(out, 'checkpoints')).sort()).toEqual(['step-10', 'step-12', 'step-5']);
    expect(readdirSync(join(out, 'tensorboard'))).toHaveLength(1);
    const metrics = await metricsIn(join(out, 'metrics.jsonl'));
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
    const measured = metrics.filter(({ validationLoss }) => validationLoss !== undefined);
    expect(measured.map(({ step }) => step)).toEqual([4, 8, 12]);
    expect(device().liveBytes - base).toBeLessThan(10_000);
  });

  test('its own settings reproduce it, and a stopped run goes on to the same end', async () => {
    const more = {
      optimizer: { name: 'nadam' },
      schedule: { name: 'wsd', stable: 0.5, decay: 0.3 },
    };
    await run('first', more);
    const kept = JSON.parse(readFileSync(join(folder, 'first', 'run.json'), 'utf8'));
    const config = { ...resolveRun(kept), out: join(folder, 'second') };
    const controller = new AbortController();
    const half = await runTraining({
      config,
      onProgress: ({ step }) => {
        if (step === 7) controller.abort();
      },
      signal: controller.signal,
    });
    half.prepared.model.dispose();
    expect(half).toMatchObject({ step: 7, aborted: true });
    const { about } = await run('second', more, { config, resume: true });
    expect(about.from.step).toBe(7);
    expect(await losses('second')).toEqual(await losses('first'));
    const weights = (name: string) => readFileSync(join(folder, name, 'model.safetensors'));
    expect(weights('second').equals(weights('first'))).toBe(true);
  });

  test('does not write over an earlier run, unless it is told to', async () => {
    await run('taken');
    await expect(run('taken')).rejects.toThrow(
      /out ".*taken" holds an earlier run \(.*step-12\); go on with it by --resume/,
    );
    const { outcome } = await run('taken', {}, { overwrite: true });
    expect(outcome.step).toBe(12);
    mkdirSync(join(folder, 'foreign'));
    writeFileSync(join(folder, 'foreign', 'config.json'), '{}');
    await expect(run('foreign')).rejects.toThrow(
      'holds another model (config.json without run.json)',
    );
    await expect(run('fresh', {}, { resume: true })).rejects.toThrow(
      'has no checkpoint that is whole',
    );
  });

  test('is refused before it begins where it does not fit, with what helps', async () => {
    const small = run('small', { train: { memory: 0.2, batch: 8 } });
    await expect(small).rejects.toThrow(
      /does not fit: .* \(parameters .*, optimizer .*, activations .*\); there are 204\.8 KiB\. What helps: --batch 4 --accumulate 2/,
    );
    const tiny = run('tiny', { train: { memory: 0.01 } });
    await expect(tiny).rejects.toThrow(/there are 10\.2 KiB\. What helps: .*a smaller model/);
    expect(existsSync(join(folder, 'small', 'run.json'))).toBe(false);
    const { outcome } = await run('fits', { train: { memory: 1 } });
    expect(outcome.step).toBe(12);
  });

  test.each<[string, RunSettings, string]>([
    ['an optimizer', { optimizer: { name: 'adamx' } }, 'unknown name "adamx" (did you mean "adam'],
    [
      'an option',
      { optimizer: { name: 'adamw', beta: 1 } },
      'unknown option "beta" (did you mean "betas',
    ],
    [
      'a schedule',
      { schedule: { name: 'cosin' } },
      'unknown name "cosin" (did you mean "cosine"?)',
    ],
    [
      'steps in a run by time',
      { train: { steps: undefined, seconds: 1 }, schedule: { name: 'step', every: 3 } },
      'step.every is 3; expected no number of steps',
    ],
  ])('refuses %s', async (_name, more, message) => {
    await expect(run('refused', more)).rejects.toThrow(message);
  });

  test('follows a schedule by the share of a run that ends by time', async () => {
    const rates: number[] = [];
    const train = { steps: undefined, seconds: 0.7 };
    const { outcome } = await run(
      'timed',
      { train, schedule: { name: 'linear', to: 0 } },
      {
        onProgress: ({ lr }) => rates.push(lr),
      },
    );
    expect(outcome.step).toBeGreaterThan(3);
    expect(rates[0]).toBeCloseTo(0.005, 5);
    expect(rates.at(-1)).toBeLessThan(0.001);
    expect(rates).toEqual([...rates].sort((a, b) => b - a));
  });
});

describe('a run of another kind', () => {
  const chat = (answer: string) =>
    `${JSON.stringify({
      messages: [
        { role: 'user', content: `what is ${answer}?` },
        { role: 'assistant', content: answer },
      ],
    })}\n`;

  test('learns the answers of conversations, and writes a tokenizer with a template', async () => {
    const path = join(folder, 'chat.jsonl');
    writeFileSync(path, ['one', 'two', 'six', 'ten'].map(chat).join('').repeat(3));
    const data: RunSettings = {
      data: { path, validation: 0 },
      tokenizer: { kind: 'characters' },
      train: { steps: 4, batch: 2 },
      model: { layers: 1, width: 16, heads: 2, context: 48 },
      out: join(folder, 'chat'),
    };
    const outcome = await runTraining({ config: resolveRun(data) });
    const { prepared } = outcome;
    const { targets, tokens } = prepared.data.train;
    // Three letters and the end token of each answer.
    expect(targets).toBe(12 * 4);
    expect(tokens).toBeGreaterThan(12 * 20);
    expect(prepared.weighted).toBe(true);
    prepared.model.dispose();
    const { model, tokenizer } = await loadModel(data.out as string);
    expect(tokenizer?.hasChat).toBe(true);
    expect(tokenizer?.eosIds).toEqual([tokenizer?.idOf('<|end|>')]);
    model.dispose();
  });

  test('trains an adapter alone, resumes it, and merges it at the end', async () => {
    await run('base');
    const from = join(folder, 'base');
    const adapt = (name: string, options: Partial<RunOptions> = {}) => {
      const adapted: RunSettings = {
        ...{ data: { path: book }, model: { from }, lora: { r: 2 } },
        ...{ train: { steps: 6, batch: 2 }, checkpoints: { every: 2 }, out: join(folder, name) },
      };
      return run(name, {}, { config: resolveRun(adapted), ...options });
    };
    const { about } = await adapt('adapted');
    // Two matrices of 16 x 16, an adapter of 2 x 16 and 16 x 2 for each.
    expect(about.trainable).toBe(2 * 64);
    const out = join(folder, 'adapted');
    expect(readdirSync(join(out, 'adapter')).sort()).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    const weights = (path: string) =>
      decodeSafetensors(readFileSync(join(path, 'model.safetensors')));
    const [before, after] = [weights(from).tensors, weights(out).tensors];
    const changed = [...after].filter(([name, { data }]) => {
      return !Buffer.from(data.buffer).equals(
        Buffer.from(before.get(name)?.data.buffer as ArrayBuffer),
      );
    });
    expect(changed.map(([name]) => name).sort()).toEqual([
      'model.layers.0.self_attn.q_proj.weight',
      'model.layers.0.self_attn.v_proj.weight',
    ]);
    // A checkpoint of an adapter holds the adapter only.
    const kept = weights(join(out, 'checkpoints', 'step-6')).tensors;
    expect([...kept.keys()].every((name) => name.includes('.lora.'))).toBe(true);
    const controller = new AbortController();
    const onProgress = ({ step }: { step: number }) => step === 3 && controller.abort();
    await adapt('halves', { onProgress, signal: controller.signal });
    rmSync(join(folder, 'halves', 'model.safetensors'));
    await adapt('halves', { resume: true });
    expect(await losses('halves')).toEqual(await losses('adapted'));
  });

  test('a gpt2 with a tokenizer of its own; its checkpoints are models, too', async () => {
    const small: RunSettings = {
      ...{ data: { path: book }, tokenizer: { kind: 'bpe', vocabSize: 280 } },
      model: { arch: 'gpt2', layers: 2, width: 16, heads: 2, context: 16 },
      train: { steps: 3, batch: 4, gradientCheckpointing: true },
      ...{ checkpoints: { every: 2 }, out: join(folder, 'gpt2') },
    };
    const { about } = await run('gpt2', {}, { config: resolveRun(small) });
    const plain = { ...small, train: { steps: 3, batch: 4 }, out: join(folder, 'gpt2-plain') };
    const { about: other } = await run('gpt2-plain', {}, { config: resolveRun(plain) });
    expect(await losses('gpt2')).toEqual(await losses('gpt2-plain'));
    expect(about.memory.activations).toBeLessThan(other.memory.activations);
    const { model, tokenizer } = await loadModel(join(folder, 'gpt2', 'checkpoints', 'step-2'));
    expect(model.type).toBe('gpt2');
    expect(tokenizer?.decode(tokenizer.encode('the cat'))).toBe('the cat');
    model.dispose();
  });

  test('is refused where its file of tokens has no tokenizer', async () => {
    const path = join(folder, 'a.bin');
    writeFileSync(path, new Uint8Array(4));
    const config = resolveRun({ data: { path }, out: join(folder, 'bin') });
    await expect(runTraining({ config })).rejects.toThrow(
      /a\.bin" holds tokens; expected a tokenizer/,
    );
  });
});

describe('insist', () => {
  const full = () => new Error('the disk is full', { cause: { code: 'ENOSPC' } });

  test('tries again while the disk is full, and tells of it once', async () => {
    const warnings: string[] = [];
    let tries = 0;
    const save = async () => {
      if (++tries < 3) throw full();
      return 'saved';
    };
    const warn = (message: string) => warnings.push(message);
    expect(await insist(save, { seconds: 60, warn, pause: 1 })).toBe('saved');
    expect(warnings).toEqual([
      expect.stringContaining('is still in memory: it is tried again for 1'),
    ]);
  });

  test('gives up in the end, and at once where waiting does not help', async () => {
    const warn = () => {};
    const never = async () => {
      throw full();
    };
    await expect(insist(never, { seconds: 0.02, warn, pause: 5 })).rejects.toThrow('disk is full');
    let tries = 0;
    const denied = async () => {
      tries++;
      throw new Error('permission is denied', { cause: { code: 'EACCES' } });
    };
    await expect(insist(denied, { seconds: 60, warn })).rejects.toThrow('permission');
    expect(tries).toBe(1);
  });
});
