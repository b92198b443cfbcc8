import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { describe, test } from 'vitest';

/** Where systems put Chromium or Chrome. */
const USUAL_PLACES: readonly string[] = [
  '/usr/lib/chromium/chromium',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];

/** @throws Error where TERSOR_CHROMIUM names a program that is not there: nobody wants a skip then */
function findChromium(): string | undefined {
  const named = process.env.TERSOR_CHROMIUM;
  if (!named) return USUAL_PLACES.find((path) => existsSync(path));
  if (!existsSync(named)) {
    throw new Error(
      `TERSOR_CHROMIUM is ${named}, which does not exist; expected the path of Chromium`,
    );
  }
  return named;
}

/** A suite that needs a browser: skipped, and saying so, where the system has none. */
export function describeWithChromium(name: string, body: (executable: string) => void): void {
  const executable = findChromium();
  if (executable !== undefined) {
    describe(name, () => body(executable));
    return;
  }
  const help = 'no Chromium; install the package chromium, or name the program in TERSOR_CHROMIUM';
  // A summary shows only how many tests were skipped.
  console.warn(`${name}: skipped, ${help}`);
  describe.skip(`${name} (${help})`, () => {
    test('needs Chromium', () => {});
  });
}

/** A running browser without a window. */
export interface Browser {
  readonly context: BrowserContext;
  /** Ends it and removes its profile. */
  close(): Promise<void>;
}

/** Starts the system's Chromium with a profile of its own; it reaches nothing but this machine. */
export async function startChromium(executablePath: string): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'tersor-chromium-'));
  const remove = () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  const args = [
    '--headless=new',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-quic',
    '--disable-sync',
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1',
    // Chromium refuses to build its sandbox for root.
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  ];
  try {
    const context = await chromium.launchPersistentContext(profile, {
      executablePath,
      headless: false, // playwright's own way of being headless is not every system's
      args,
    });
    return {
      context,
      close: async () => {
        await context.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
