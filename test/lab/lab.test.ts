import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { figure, note, progress, row } from '../../src/lab/experiment.ts';
import {
  EXPERIMENTS,
  type Experiment,
  findExperiment,
  pageOf,
  runExperiment,
  writePage,
} from '../../src/lab/index.ts';
import { curveOf, exponent, spreadText } from '../../src/lab/statistics.ts';
import { idxFile } from '../support/idx-file.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tersor-lab-'));
  await writeDigits('usps', 'usps-train', 260, 16);
  await writeDigits('usps', 'usps-test', 130, 16);
  await writeDigits('mnist', 'train', 420, 28);
  await writeDigits('mnist', 't10k', 310, 28);
});
afterAll(() => rm(folder, { recursive: true }));

/** Digits that are easily told apart: a bright row for each. */
async function writeDigits(set: string, name: string, count: number, side: number) {
  await mkdir(join(folder, set), { recursive: true });
  const images = new Uint8Array(count * side * side);
  const labels = new Uint8Array(count);
  for (let n = 0; n < count; n++) {
    labels[n] = (n * 7) % 10;
    const at = n * side * side + (3 + (labels[n] as number)) * side;
    images.fill(255, at, at + side);
  }
  const file = (kind: string) => join(folder, set, `${name}-${kind}-ubyte`);
  await writeFile(file('images-idx3'), idxFile([count, side, side], images));
  await writeFile(file('labels-idx1'), idxFile([count], labels));
}

const chart = {
  title: 'A line',
  x: { label: 'x' },
  y: { label: 'y' },
  series: [{ name: 'a', points: [[0, 1] as const, [1, 2] as const] }],
};

const example: Experiment = {
  name: 'example',
  title: 'An example',
  paper: 'Nobody: Nothing. 1900.',
  claim: 'Numbers | rise.',
  setting: ['No data.'],
  seeds: 3,
  async *run(lab) {
    yield progress(`begins with ${lab.size('all', 'little')}`);
    yield row('seeds', '3', `${lab.seeds.length}`, lab.seeds.length === 3);
    yield row('a | b', '-', '1');
    yield note('So it is.');
    yield figure(chart);
  },
};

describe('an experiment', () => {
  test('gives rows, notes and a figure, and tells its progress', async () => {
    const seen: string[] = [];
    const report = await runExperiment(example, { onFinding: ({ kind }) => seen.push(kind) });
    expect(seen).toEqual(['progress', 'row', 'row', 'note', 'figure']);
    expect(report).toMatchObject({ seeds: [1, 2, 3], quick: false, chart });
    expect(report.rows.map(({ ours, holds }) => [ours, holds])).toEqual([
      ['3', true],
      ['1', undefined],
    ]);
    const quick = await runExperiment(example, { quick: true });
    expect(quick).toMatchObject({ seeds: [1], quick: true });
    expect(quick.rows[0]?.holds).toBe(false);
  });

  test('becomes a page with its command and its picture', async () => {
    const report = await runExperiment(example, { seeds: 2 });
    const page = pageOf(report);
    expect(page).toContain('| seeds | 3 | 2 | no |');
    expect(page).toContain('| a \\| b | - | 1 | - |');
    expect(page).toContain('tersor lab example --data DIR --seeds 2');
    expect(page).toContain('- Seeds: 1, 2.');
    const docs = join(folder, 'docs');
    await writePage(report, docs);
    expect(await readdir(docs)).toEqual(['example.md', 'example.svg']);
    expect(await readFile(join(docs, 'example.svg'), 'utf8')).toContain('<svg');
  });

  test('ends when it is cancelled', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(runExperiment(example, { signal })).rejects.toThrow('enough');
  });

  test('says which file it misses, and in which form', async () => {
    const lecun = findExperiment('lecun1989');
    await expect(runExperiment(lecun)).rejects.toThrow(
      'reads usps/usps-train-images-idx3-ubyte.gz (the zip-code digits of training: idx of ' +
        'unsigned bytes [7291, 16, 16]',
    );
    await expect(runExperiment(findExperiment('adam'), { data: folder })).rejects.toThrow(
      /no file .*tinyshakespeare.txt; expected Karpathy's tinyshakespeare/,
    );
    expect(() => findExperiment('lecun1998')).toThrow('did you mean "lecun1989"?');
    await expect(runExperiment(example, { seeds: 0 })).rejects.toThrow('seeds is 0');
  });

  test('has a name and a page of its own', () => {
    const names = EXPERIMENTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('lecun1989');
    for (const { seeds, setting } of EXPERIMENTS) {
      expect(seeds).toBeGreaterThan(0);
      expect(setting.length).toBeGreaterThan(0);
    }
  });

  test.each(['lecun1989', 'dropout'])('%s runs on small sizes', async (name) => {
    const report = await runExperiment(findExperiment(name), { data: folder, quick: true });
    expect(report.rows.length).toBeGreaterThan(1);
    expect(report.chart).toBeDefined();
  });
});

describe('statistics of runs', () => {
  test('spread, curves, exponents', () => {
    expect(spreadText([1], 1)).toBe('1.0');
    expect(spreadText([1, 2, 3], 2)).toBe('2.00 ± 1.00');
    expect(curveOf([5], [[1], [3]])).toEqual({ points: [[5, 2]], band: [[1, 3]] });
    const squares = [2, 4, 8].map((x): [number, number] => [x, 3 * x ** 2]);
    expect(exponent(squares)).toBeCloseTo(2, 12);
  });
});
