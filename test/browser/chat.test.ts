import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import {
  type PageFiles,
  type RunningServer,
  readPageFiles,
  type ServerOptions,
  startServer,
} from '../../src/serve/index.ts';
import { type Browser, describeWithChromium, startChromium } from '../support/chromium.ts';
import { ByteTokenizer, type Script, ScriptedEngine } from '../support/scripted-engine.ts';
import { ROOT } from '../support/source-tree.ts';
import { until } from '../support/until.ts';

describeWithChromium('the chat page', (executable) => {
  let folder = '';
  let files: PageFiles | undefined;
  let browser: Browser;
  let server: RunningServer | undefined;
  let page: Page;
  let complaints: string[] = [];
  let expected: RegExp | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tersor-pages-'));
    await build({ configFile: join(ROOT, 'vite.config.ts'), build: { outDir: folder } });
    files = await readPageFiles(folder);
    browser = await startChromium(executable);
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    await page.close();
    await server?.stop();
    server = undefined;
    expect(complaints.filter((text) => !expected?.test(text))).toEqual([]);
    expected = undefined;
  });

  async function visit(
    script: Script = {},
    options: Partial<ServerOptions> = {},
    size = { width: 1000, height: 700 },
  ) {
    const engine = new ScriptedEngine(script);
    const tokenizer = new ByteTokenizer();
    server = await startServer({
      engine,
      tokenizer,
      model: 'tiny',
      port: 0,
      page: files,
      ...options,
    });
    complaints = [];
    page = await browser.context.newPage();
    // As a phone finds it that comes by plain HTTP.
    await page.addInitScript(() => Reflect.deleteProperty(Crypto.prototype, 'randomUUID'));
    page.on('pageerror', (error) => complaints.push(error.stack ?? error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('request', (request) => {
      if (!request.url().startsWith(server?.origin ?? '')) complaints.push(request.url());
    });
    await page.setViewportSize(size);
    await page.goto(`${server.origin}/`);
    return { engine, tokenizer };
  }

  const answer = (index = 0) => page.locator('.answer').nth(index);
  const say = async (text: string) => {
    await page.fill('#prompt', text);
    await page.keyboard.press('Enter');
  };
  const written = (index = 0) => answer(index).locator('.figures').waitFor();

  test('is small, and built of files alone', async () => {
    await visit();
    const html = readFileSync(join(folder, 'chat', 'index.html'), 'utf8');
    const named = [...html.matchAll(/(?:src|href)="(?:\.\.\/)?(assets\/[^"]+)"/g)].map(
      ([, path]) => path,
    );
    expect(named.length).toBeGreaterThanOrEqual(2);
    const sizes = named.map((path) => readFileSync(join(folder, path as string)).length);
    expect(sizes.reduce((a, b) => a + b, html.length)).toBeLessThan(60_000);
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style| style=| on\w+=/);
    expect(await page.textContent('#model')).toBe('tiny');
  });

  test('streams an answer, with its figures, and remembers the conversation', async () => {
    const { tokenizer } = await visit({ delay: 5 });
    await say('Hi');
    await written();
    expect(await answer().locator('.prose').innerText()).toBe('Hello, world!');
    expect(await answer().locator('.figures').innerText()).toMatch(
      /^6 tokens · \d+(\.\d)? tokens\/s · first after \d+ ms$/,
    );
    await page.waitForFunction(() => document.querySelector('#status')?.textContent !== '');
    expect(await page.textContent('#status')).toContain('Hello, world!');
    await say('And now?');
    await written(1);
    expect(tokenizer.seen?.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello, world!' },
      { role: 'user', content: 'And now?' },
    ]);
    await page.fill('#prompt', 'A draft');
    await page.reload();
    expect(await page.locator('.said').allInnerTexts()).toEqual(['Hi', 'And now?']);
    expect(await page.inputValue('#prompt')).toBe('A draft');
  });

  test('stops by button and by Escape, and keeps what there is', async () => {
    const { engine } = await visit({ delay: 10, tokens: endless });
    await say('Sing');
    await answer().locator('.prose', { hasText: 'lala' }).waitFor();
    expect(await page.getAttribute('#send', 'aria-label')).toBe('Stop');
    await page.click('#send');
    await until(() => engine.stats().running === 0);
    expect(await answer().innerText()).toMatch(/^Answer\s+(la)+\s+Stopped\./);
    expect(await page.getAttribute('#send', 'aria-label')).toBe('Send');
    await say('Again');
    await answer(1).locator('.prose', { hasText: 'la' }).waitFor();
    await page.keyboard.press('Escape');
    await until(() => engine.stats().running === 0);
    await page.reload();
    expect(await answer().locator('.prose').innerText()).toMatch(/^(la)+$/);
  });

  test('regenerates, and loses no answer', async () => {
    let count = 0;
    await visit({ tokens: () => [`Answer ${++count}`] });
    await say('Hi');
    await written();
    await page.getByRole('button', { name: 'Regenerate the answer' }).click();
    await answer().getByText('2 of 2').waitFor();
    expect(await answer().locator('.prose').innerText()).toBe('Answer 2');
    await page.getByRole('button', { name: 'Previous answer' }).click();
    expect(await answer().locator('.prose').innerText()).toBe('Answer 1');
    await page.reload();
    expect(await answer().innerText()).toContain('1 of 2');
    await page.click('#new-chat');
    expect(await page.locator('.exchange').count()).toBe(0);
    await page.click('#open-history');
    await page.locator('#conversations .open').first().click();
    expect(await answer().locator('.prose').innerText()).toBe('Answer 1');
  });

  test('tells errors, and tries again', async () => {
    expected = /429/;
    const script = { slots: 1, maxWaiting: 0, delay: 3, tokens: endless };
    const { engine } = await visit(script);
    const other = new AbortController();
    const reader = engine.generate({ prompt: [1], signal: other.signal });
    await say('Hi');
    const retry = page.getByRole('button', { name: 'Try again' });
    await retry.waitFor();
    expect(await answer().innerText()).toContain('Too many requests wait already');
    other.abort();
    await Array.fromAsync(reader);
    await retry.click();
    await answer().locator('.prose', { hasText: 'la' }).waitFor();
    await page.click('#send');
    expect(await retry.count()).toBe(0);
    expect(await page.locator('.said').count()).toBe(1);
  });

  test('leaves out old messages that the context cannot hold, and says so', async () => {
    expected = /400/;
    const { tokenizer } = await visit({ context: 95 });
    for (const [i, text] of ['One', 'Two', 'Three'].entries()) {
      await say(text);
      await written(i);
    }
    const contents = tokenizer.seen?.messages.map(({ content }) => content);
    expect(contents).toEqual(['Two', 'Hello, world!', 'Three']);
    expect(await answer(2).innerText()).toContain('it did not see the oldest message');
  });

  test('sends the settings, and asks for the key where there is one', async () => {
    expected = /401/;
    const { engine, tokenizer } = await visit({}, { apiKeys: ['sesame'] });
    const key = page.getByLabel('API key');
    await key.waitFor();
    expect(await key.evaluate((field) => field === document.activeElement)).toBe(true);
    await key.fill('sesame');
    await page.getByLabel('System prompt').fill('Be short.');
    await page.getByLabel('Temperature').fill('0.5');
    await page.getByLabel('Top p').fill('7');
    await page.keyboard.press('Escape');
    await page.locator('#model', { hasText: 'tiny' }).waitFor();
    await say('Hi');
    await written();
    // What is out of bounds is marked, and not sent.
    expect(engine.requests[0]).toMatchObject({ temperature: 0.5, topP: undefined });
    expect(tokenizer.seen?.messages[0]).toEqual({ role: 'system', content: 'Be short.' });
    expect(await page.evaluate(() => Object.values(localStorage).join())).not.toContain('sesame');
  });

  test('shows what a model writes as text, whatever it is', async () => {
    const evil = [
      '<img src=x onerror="document.title = 1"> <script>document.title = 2</script>\n\n',
      '[a](javascript:document.title=3) [b](https://example.org/"onclick="x) **bold** `co*de*`\n\n',
      '```html\n<b>raw</b>\n```\n\n# Head\n- one\n- two\n  1. deep\n\n> quoted\n\n***\n\n`'.repeat(
        1,
      ),
    ];
    await visit({ tokens: () => evil });
    await say('<b>Hi</b>');
    await written();
    expect(await page.title()).toBe('Chat · Tersor');
    expect(await page.locator('.said').innerText()).toBe('<b>Hi</b>');
    const prose = answer().locator('.prose');
    expect(await prose.locator('img, script, b, [onclick], [onerror]').count()).toBe(0);
    expect(
      await prose.locator('a').evaluateAll((all) => all.map((a) => a.getAttribute('href'))),
    ).toEqual(['https://example.org/"onclick="x']);
    expect(await prose.locator('strong').innerText()).toBe('bold');
    expect(await prose.locator('p code').innerText()).toBe('co*de*');
    expect(await prose.locator('pre').innerText()).toBe('<b>raw</b>');
    expect(await prose.locator('h3').innerText()).toBe('Head');
    expect(await prose.locator('ul > li').count()).toBe(2);
    expect(await prose.locator('li > ol > li').innerText()).toBe('deep');
    expect(await prose.locator('blockquote').innerText()).toBe('quoted');
    expect(await prose.locator('hr').count()).toBe(1);
  });

  test('works by keyboard alone, in an order that makes sense', async () => {
    await visit();
    await page.keyboard.type('Hi');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('there');
    await page.keyboard.press('Enter');
    await written();
    expect(await page.locator('.said').innerText()).toBe('Hi\nthere');
    const focused = () =>
      page.evaluate(() => {
        const { activeElement: at } = document;
        return at?.getAttribute('aria-label') || at?.id || at?.textContent || '';
      });
    expect(await focused()).toBe('prompt');
    const order: string[] = [];
    for (let i = 0; i < 12 && !order.includes('prompt'); i++) {
      await page.keyboard.press('Tab');
      order.push(await focused());
    }
    const wanted = ['open-history', 'open-settings', 'new-chat', 'Copy the answer', 'prompt'];
    expect(order.filter((name) => wanted.includes(name))).toEqual(wanted);
    await page.focus('#open-settings');
    await page.keyboard.press('Enter');
    await page.getByLabel('System prompt').waitFor();
    const ring = await page.evaluate(
      () => getComputedStyle(document.activeElement as Element).outlineWidth,
    );
    expect(ring).toBe('2px');
    await page.keyboard.press('Escape');
    expect(await focused()).toBe('open-settings');
  });

  test('gives every control a name and every text enough contrast, light and dark', async () => {
    await visit();
    await say('Hi `code`');
    await written();
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await page.evaluate(weakTexts)).toEqual([]);
      await page.click('#open-settings');
      expect(await page.evaluate(weakTexts)).toEqual([]);
      expect(await page.evaluate(nameless)).toEqual([]);
      await page.keyboard.press('Escape');
    }
    const [light, dark] = [await ground('light'), await ground('dark')];
    expect(light).not.toBe(dark);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    expect(await page.evaluate(() => document.getAnimations().length)).toBe(0);
  });

  async function ground(colorScheme: 'light' | 'dark'): Promise<string> {
    await page.emulateMedia({ colorScheme });
    return page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  }

  test('fits on a phone', async () => {
    const tokens = () => [`\`\`\`\n${'wide '.repeat(60)}\n\`\`\`\n${'long'.repeat(60)}`];
    await visit({ tokens, context: 5000 }, {}, { width: 360, height: 640 });
    await say('x'.repeat(200));
    await written();
    const wider = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
    expect(await page.evaluate(wider)).toBe(0);
    await say('y\n'.repeat(60));
    await written(1);
    // The conversation scrolls, the page does not.
    const higher = () => {
      const { scrollHeight, clientHeight } = document.documentElement;
      return scrollHeight - clientHeight;
    };
    expect(await page.evaluate(higher)).toBe(0);
    const main = () => {
      const { scrollWidth, clientWidth } = document.querySelector('main') as Element;
      return scrollWidth - clientWidth;
    };
    expect(await page.evaluate(main)).toBe(0);
    await page.click('#open-settings');
    expect(await page.evaluate(wider)).toBe(0);
    const box = await page.locator('#settings').boundingBox();
    expect(box?.x).toBeGreaterThanOrEqual(0);
    expect((box?.x ?? 0) + (box?.width ?? 0)).toBeLessThanOrEqual(360);
  });
});

function* endless(): Generator<string> {
  for (;;) yield 'la';
}

/** Runs in the page: texts whose contrast with what lies behind them is below 4.5 (WCAG AA). */
function weakTexts(): string[] {
  const paint = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color: string): number[] => {
    if (!paint) return [0, 0, 0, 0];
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (color: number[]) =>
    [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
      const c = color[i] / 255;
      return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    }, 0);
  const behind = (element: Element): number[] => {
    for (let at: Element | null = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const weak: string[] = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(
      (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim(),
    );
    const gone = element.closest(':disabled, noscript, [hidden], .hidden, .skip');
    if (!own || gone || !(element as HTMLElement).checkVisibility()) continue;
    const [a, b] = [rgba(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) weak.push(`${element.outerHTML.slice(0, 80)}: ${contrast.toFixed(2)}`);
  }
  return weak;
}

/** Runs in the page: controls without a name for those who do not see them. */
function nameless(): string[] {
  return [...document.querySelectorAll('button, input, textarea, a, dialog, nav, pre')]
    .filter((element) => {
      const { labels } = element as HTMLInputElement;
      const by = document.getElementById(element.getAttribute('aria-labelledby') ?? '');
      const field = element.matches('input, textarea');
      const text = field ? labels?.[0]?.textContent : element.textContent;
      const named = element.matches('dialog, nav') ? undefined : text;
      return !(element.getAttribute('aria-label') || by?.textContent || named?.trim());
    })
    .map((element) => element.outerHTML.slice(0, 100));
}
