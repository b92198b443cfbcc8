import type { Reporter, TestModule } from 'vitest/node';

/** What a run came to. `failed` also counts what broke outside any test: a file, a hook. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** `12 passed, 0 failed`, with `, 3 skipped` after it where tests were skipped. */
export function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Counts the tests of the modules; a test that never got to run counts as failed. */
export function tally(modules: readonly TestModule[], unhandledErrors: number): Tally {
  const sum: Tally = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    sum.failed += module.errors().length;
    for (const suite of module.children.allSuites()) sum.failed += suite.errors().length;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === 'passed') sum.passed++;
      else if (state === 'skipped') sum.skipped++;
      else sum.failed++;
    }
  }
  return sum;
}

/**
 * Ends the output of a run with its closing line, uncoloured and alone on its line. Written as the
 * process exits: other reporters may still print after the run's end.
 */
export default class ClosingLine implements Reporter {
  private line = '';

  onInit(): void {
    process.once('exit', () => {
      if (this.line !== '') process.stdout.write(`\n${this.line}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.line = closingLine(tally(modules, unhandledErrors.length));
  }
}
