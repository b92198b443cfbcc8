import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Browser, describeWithChromium, startChromium } from '../support/chromium.ts';
import { copyPackage, type PackageCopy } from '../support/package-copy.ts';
import { type SourceServer, serveSources } from '../support/source-server.ts';
import { ROOT } from '../support/source-tree.ts';

/** Multiplies matrices large enough for the threads, by the package's names alone. */
const APPLICATION = `
  import { device, random, setThreads } from 'tersor';
  import { jit } from 'tersor/tensor';
  import { linear } from './linear.js';

  export async function run(threads) {
    setThreads(threads);
    random.seed(3);
    const [x, w] = [random.normal([256, 256]), random.normal([256, 256])];
    const step = jit((a, b) => linear(a, b).softmax(-1).sum(0));
    const data = await (await step(x, w)).data();
    return { threads: device().target.threads, sum: data.reduce((a, b) => a + b, 0) };
  }
`;
const LINEAR = `export const linear = (x, w) => x.linear(w);\n`;

describeWithChromium('the package in Chromium', (executable) => {
  let browser: Browser;
  let copy: PackageCopy;
  let server: SourceServer;
  let page: Page;
  let complaints: string[] = [];

  beforeAll(async () => {
    copy = copyPackage();
    browser = await startChromium(executable);
    server = await serveSources({ bundle: join(copy.home, 'bundle') });
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
    copy?.remove();
  });

  beforeEach(async () => {
    complaints = [];
    page = await browser.context.newPage();
    page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
  });

  afterEach(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });

  test('is bundled and minified by Vite, threads and all', async () => {
    const { home } = copy;
    writeFileSync(join(home, 'package.json'), '{ "private": true, "type": "module" }\n');
    writeFileSync(join(home, 'main.js'), APPLICATION);
    writeFileSync(join(home, 'linear.js'), LINEAR);
    await build({
      root: home,
      configFile: false,
      logLevel: 'warn',
      build: {
        outDir: 'bundle',
        minify: true,
        rolldownOptions: {
          input: join(home, 'main.js'),
          preserveEntrySignatures: 'strict',
          output: { entryFileNames: 'main.js' },
        },
      },
    });
    expect(readdirSync(join(home, 'bundle'))).toEqual(['main.js']);
    // What Node alone has must not even be named.
    expect(readFileSync(join(home, 'bundle', 'main.js'), 'utf8')).not.toMatch(/from ?["']node:/);
    const run = (threads: number) =>
      page.evaluate(`import('/bundle/main.js').then((m) => m.run(${threads}))`);
    await page.goto(`${server.origin}/?isolated`);
    const result = await run(3);
    expect(result).toEqual({ threads: 3, sum: expect.closeTo(256, 2) });
    expect(page.workers()).toHaveLength(3);
    await page.goto(`${server.origin}/`);
    expect(await run(3)).toEqual({ ...(result as object), threads: 1 });
  });

  test('trains in the page of the example', async () => {
    const folder = join(copy.home, 'example');
    cpSync(join(ROOT, 'examples', 'browser'), folder, { recursive: true });
    const { child, address } = await startExample(join(folder, 'serve.ts'));
    try {
      await page.goto(address);
      await page.fill('#steps', '40');
      await page.click('#train');
      await page.waitForFunction(`document.querySelector('#state').textContent.startsWith('Done')`);
      const state = (await page.textContent('#state')) ?? '';
      const loss = Number(/Step 40 of 40: loss ([\d.]+)/.exec(state)?.[1]);
      expect(loss).toBeLessThan(2);
      const points = await page.getAttribute('#curve polyline', 'points');
      expect(points?.split(' ')).toHaveLength(40);
      // The context of 64 without the line end before it.
      expect(await page.textContent('#text')).toHaveLength(63);
      expect(await page.evaluate('crossOriginIsolated')).toBe(true);
    } finally {
      child.kill();
    }
  });
});

/** Starts the example's server on a free port; it prints its address. */
async function startExample(file: string): Promise<{ child: ChildProcess; address: string }> {
  const child = spawn(process.execPath, [file, '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the example's server ended with ${code}`)));
    child.stdout.setEncoding('utf8').once('data', (line: string) => resolve(line.trim()));
  });
  return { child, address };
}
