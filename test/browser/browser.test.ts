import { join } from 'node:path';
import * as fc from 'fast-check';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { OpCase } from '../fixtures/run-case.ts';
import { type Browser, describeWithChromium, startChromium } from '../support/chromium.ts';
import {
  describeWithFixtures,
  FIXTURES,
  readJson,
  readSafetensors,
  SHARED,
} from '../support/fixtures.ts';
import { anyGraphRecipe } from '../support/graph-recipes.ts';
import { type SourceServer, serveSources } from '../support/source-server.ts';
import { ROOT } from '../support/source-tree.ts';
import type * as page from './page.ts';
import { type CaseReport, runGraphs, runOperations, runTraining, type Story } from './suites.ts';

const RECIPES = fc.sample(anyGraphRecipe, { seed: 20261122, numRuns: 40 });
const STEPS = 30;

/** Three threads whatever the machine: their number must not show in any bit. */
const MANY = 3;

/** Pages differ in whether they may share memory, and in how many threads are asked for. */
const PAGES = [
  { name: 'an isolated page', path: '/?isolated', isolated: true, asked: MANY, threads: MANY },
  {
    name: 'an isolated page, one thread',
    path: '/?isolated',
    isolated: true,
    asked: 1,
    threads: 1,
  },
  { name: 'a page that is not isolated', path: '/', isolated: false, asked: MANY, threads: 1 },
] as const;

/** What Node says, worked out once. */
const inNode = {
  operations: once(() => {
    const { cases } = readJson<{ cases: readonly OpCase[] }>(FIXTURES, 'ops', 'cases.json');
    return runOperations(cases, readSafetensors(FIXTURES, 'ops', 'tensors.safetensors'), 1);
  }),
  graphs: once(() => runGraphs(RECIPES, 1)),
  training: once(() => runTraining(STEPS)),
};

function once<T>(compute: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => (result ??= compute());
}

const storyOf = ({ prompt, continuation_ids, continuation_text }: Story): Story => {
  return { prompt, continuation_ids, continuation_text };
};

type PageModule = typeof page;

/** Calls a function of page.ts in a page; arguments and result are plain values. */
async function call<K extends keyof PageModule>(
  where: Page,
  name: K,
  ...args: Parameters<PageModule[K]>
): Promise<Awaited<ReturnType<PageModule[K]>>> {
  const values = JSON.stringify(args).slice(1, -1);
  // As text: an import() written here would be turned into one of the test runner's.
  const text = `import('/test/browser/page.ts').then((m) => m.${name}(${values}))`;
  return (await where.evaluate(text)) as Awaited<ReturnType<PageModule[K]>>;
}

const failuresOf = (reports: readonly CaseReport[]) =>
  reports.filter((r) => r.problems.length > 0).map((r) => `${r.name}: ${r.problems.join('; ')}`);
const bitsOf = (reports: readonly CaseReport[]) => reports.map((r) => `${r.name} ${r.bits}`);

describeWithChromium('in Chromium', (executable) => {
  let browser: Browser;
  let server: SourceServer;

  beforeAll(async () => {
    [browser, server] = await Promise.all([
      startChromium(executable),
      serveSources({
        src: join(ROOT, 'src'),
        test: join(ROOT, 'test'),
        packages: join(ROOT, 'node_modules'),
        fixtures: FIXTURES,
        data: join(SHARED, 'data'),
      }),
    ]);
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  for (const { name, path, isolated, asked, threads } of PAGES) {
    describe(name, () => {
      let where: Page;
      let complaints: string[] = [];

      // A new page for each test: what the last one left, workers among it, is gone.
      beforeEach(async ({ onTestFailed }) => {
        let latest = 'nothing yet';
        onTestFailed(() => console.error(`the page last began ${latest}`));
        complaints = [];
        where = await browser.context.newPage();
        where.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
        where.on('console', (message) => {
          // A model need not have every file: the browser tells of the answer 404 by itself.
          const isOptional = message.location().url.endsWith('/chat_template.jinja');
          if (message.type() === 'error' && !isOptional) complaints.push(message.text());
          if (message.type() === 'debug') latest = message.text();
        });
        await where.goto(server.origin + path);
      });

      afterEach(async () => {
        await where.close();
        expect(complaints).toEqual([]);
      });

      /** Threads are workers: these were really made, or none were. */
      const expectWorkers = (pools: number) =>
        expect(where.workers().length).toBe(threads > 1 ? pools * threads : 0);

      test('is what it should be', async () => {
        expect(await call(where, 'isIsolated')).toBe(isolated);
      });

      describeWithFixtures('operations', () => {
        test('are as torch has them, to the bits of Node', async () => {
          const reports = await call(where, 'operations', asked);
          expect(reports.length).toBeGreaterThan(400);
          expect(failuresOf(reports)).toEqual([]);
          expect(bitsOf(reports)).toEqual(bitsOf(await inNode.operations()));
          expectWorkers(1);
        });
      });

      describeWithFixtures('stories260K', () => {
        test('tells its five stories', async () => {
          const { prompts } = readJson<{ prompts: readonly Story[] }>(
            SHARED,
            'data',
            'stories260K',
            'expected.json',
          );
          const told = await call(
            where,
            'stories',
            prompts.map(({ prompt }) => prompt),
            asked,
          );
          expect(told).toEqual(prompts.map(storyOf));
        });
      });

      test('random graphs agree with the interpreters, to the bits of Node', async () => {
        const reports = await call(where, 'graphs', RECIPES, asked);
        expect(failuresOf(reports)).toEqual([]);
        expect(bitsOf(reports)).toEqual(bitsOf(await inNode.graphs()));
        expectWorkers(2);
      });

      test('a model learns, to the bits of Node', async () => {
        const report = await call(where, 'training', STEPS, asked);
        expect(report.losses).toHaveLength(STEPS);
        expect(report.losses.at(-1)).toBeLessThan(report.losses[0] / 2);
        expect(report).toEqual({ ...(await inNode.training()), threads });
        expectWorkers(1);
      });
    });
  }
});
