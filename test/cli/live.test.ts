import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { History } from '../../src/cli/live/history.ts';
import { type LivePage, startLivePage } from '../../src/cli/live/live-page.ts';
import { type PageFiles, readPageFiles } from '../../src/serve/index.ts';
import type { TrainingProgress } from '../../src/train/index.ts';
import { type Browser, describeWithChromium, startChromium } from '../support/chromium.ts';
import { ROOT } from '../support/source-tree.ts';

const FILES = new Map([
  ['/training/', { type: 'text/html', bytes: new TextEncoder().encode('the page') }],
]);
const open: LivePage[] = [];

afterEach(async () => {
  for (const page of open.splice(0)) await page.end('stopped');
});

async function start(files: PageFiles = FILES, port = 0): Promise<LivePage> {
  const page = await startLivePage(port, files);
  open.push(page);
  return page;
}

function at(step: number, more: Partial<TrainingProgress> = {}): TrainingProgress {
  const rates = { lr: 0.01, gradNorm: 1.5, tokensPerSecond: 12345, memoryBytes: 2 ** 20 };
  const time = { seconds: step / 10, etaSeconds: 65 };
  return { step, steps: 200, tokens: step * 64, loss: 3 / step, ...rates, ...time, ...more };
}

describe('the live page', () => {
  test('tells what was, then what comes, then how it ended', async () => {
    const page = await start();
    page.describe({ name: 'runs/book', parameters: 3616, out: 'runs/book' });
    page.update(at(1));
    const response = await fetch(`${page.address}training/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    const text = response.text();
    page.update(at(2));
    open.length = 0;
    await page.end('finished');
    const events = (await text)
      .trim()
      .split('\n\n')
      .map((event) => {
        const [, name, data] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
        return [name, JSON.parse(data ?? 'null')];
      });
    expect(events).toEqual([
      ['about', { name: 'runs/book', parameters: 3616, out: 'runs/book' }],
      ['history', [at(1)]],
      ['progress', at(2)],
      ['end', 'finished'],
    ]);
    await expect(fetch(page.address)).rejects.toThrow();
  });

  test('leads to the page, and to nothing else', async () => {
    const page = await start();
    expect(await (await fetch(page.address)).text()).toBe('the page');
    expect((await fetch(`${page.address}secret`)).status).toBe(404);
    const port = new URL(page.address).port;
    const unbuilt = await start(new Map());
    const missing = await fetch(`${unbuilt.address}training/`);
    expect(missing.status).toBe(503);
    expect(await missing.text()).toContain('npm run build');
    await expect(start(FILES, Number(port))).rejects.toThrow(
      `port ${port} is taken: another program listens at 127.0.0.1:${port}. Choose another port (--live`,
    );
  });

  test('answers to this machine by its own names only', async () => {
    const page = await start();
    const { port } = new URL(page.address);
    const socket = (await import('node:net')).connect(Number(port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n');
    let answer = '';
    socket.on('data', (part) => {
      answer += part;
    });
    await once(socket, 'close');
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  });

  test('leaves its port free when the run ends', async () => {
    const page = await start();
    open.length = 0;
    await page.end('stopped');
    const probe = createServer().listen(Number(new URL(page.address).port), '127.0.0.1');
    await once(probe, 'listening');
    probe.close();
  });
});

test('a long history is thinned out, but for its measurements', () => {
  const history = new History();
  for (let step = 1; step <= 50_000; step++) {
    history.add(at(step, step % 999 === 0 ? { validationLoss: 1 } : {}));
  }
  const { points } = history;
  expect(points.length).toBeLessThanOrEqual(4001);
  expect(points.length).toBeGreaterThan(2000);
  expect(points.filter(({ validationLoss }) => validationLoss)).toHaveLength(50);
  const steps = points.map(({ step }) => step);
  expect(steps).toEqual([...steps].sort((a, b) => a - b));
});

describeWithChromium('the training page in Chromium', (executable) => {
  test('draws a run as it goes, in light and dark', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tersor-live-'));
    let browser: Browser | undefined;
    try {
      const { build } = await import('vite');
      const outDir = join(folder, 'web');
      await build({ configFile: join(ROOT, 'vite.config.ts'), build: { outDir } });
      const page = await start((await readPageFiles(outDir)) ?? FILES);
      page.describe({ name: 'runs/book', parameters: 3616, out: 'runs/book' });
      for (let step = 1; step <= 100; step++) {
        page.update(at(step, step % 20 === 0 ? { validationLoss: 3.3 / step } : {}));
      }
      browser = await startChromium(executable);
      const tab = await browser.context.newPage();
      const faults: string[] = [];
      tab.on('pageerror', (error) => faults.push(error.message));
      tab.on('console', (message) => {
        if (message.type() === 'error') faults.push(message.text());
      });
      await tab.emulateMedia({ colorScheme: 'light' });
      await tab.goto(page.address);
      await tab.getByText('100 / 200').waitFor();
      expect(await tab.getByRole('heading').innerText()).toBe('runs/book');
      expect(await tab.getByRole('status').innerText()).toBe('Training');
      expect(await tab.getByText('1:05 left').count()).toBe(1);
      expect(await tab.getByRole('progressbar').getAttribute('value')).toBe('0.5');
      const charts = tab.getByRole('img');
      expect(await charts.count()).toBe(4);
      const names = await charts.evaluateAll((list) =>
        list.map((item) => item.getAttribute('aria-label')),
      );
      expect(names).toEqual([
        'Loss, nats per token: 0.03 now',
        'Learning rate: 0.01 now',
        'Tokens a second: 12.3K now',
        'Norm of the gradients: 1.5 now',
      ]);
      const shot = process.env['TERSOR_SCREENSHOTS'];
      if (shot) await tab.screenshot({ path: join(shot, 'live-light.png'), fullPage: true });
      await tab.emulateMedia({ colorScheme: 'dark' });
      await tab.setViewportSize({ width: 360, height: 740 });
      page.update(at(101));
      await tab.getByText('101 / 200').waitFor();
      const spare = await tab.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
      expect(spare).toBeLessThanOrEqual(0);
      if (shot) await tab.screenshot({ path: join(shot, 'live-dark.png'), fullPage: true });
      open.length = 0;
      await page.end('finished');
      await tab.getByText('Finished').waitFor();
      expect(faults).toEqual([]);
    } finally {
      await browser?.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
