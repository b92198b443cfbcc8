import { describe, expect, test } from 'vitest';
import { type Terminal, trainingView } from '../../src/cli/training-view.ts';
import type { TrainingProgress } from '../../src/train/index.ts';

function terminal(more: Partial<Terminal> = {}): Terminal & { readonly written: string[] } {
  const written: string[] = [];
  return { ...more, written, write: (text) => written.push(text) };
}

function at(step: number, more: Partial<TrainingProgress> = {}): TrainingProgress {
  const rates = { lr: 0.0025, gradNorm: 0.512, tokensPerSecond: 12345.6, gflops: 4.321 };
  const time = { seconds: step, etaSeconds: 65, memoryBytes: 38.5 * 2 ** 20 };
  return { step, steps: 100, tokens: step, loss: 1.5, ...rates, ...time, ...more };
}

const ALL =
  'step 100/100  loss 1.500  val 1.250  12346 tok/s  ETA 1:05  lr 0.0025  grad 0.51  4.32 GFLOP/s  39 MiB';

describe('the view of a training', () => {
  test('is a bar on a terminal, redrawn in its line and never wider', () => {
    const out = terminal({ isTTY: true, columns: 160 });
    const view = trainingView(false, out);
    view.update(at(50, { validationLoss: 1.25 }));
    view.update(at(100));
    view.end();
    expect(out.written).toHaveLength(3);
    expect(out.written[0]).toContain('\r━━━━━───── 50 %  step 50/100');
    expect(out.written[1]).toContain(`\r━━━━━━━━━━ 100 %  ${ALL}`);
    expect(out.written[2]).toBe('\n');
    const narrow = terminal({ isTTY: true, columns: 60 });
    trainingView(false, narrow).update(at(100));
    expect(narrow.written[0]?.replaceAll('\r', '').replaceAll('\u001b[K', '').length).toBeLessThan(
      60,
    );
  });

  test('is a plain line now and then in a pipe, always for a measurement and for the end', () => {
    const out = terminal();
    const view = trainingView(false, out);
    for (let step = 1; step <= 100; step++) {
      view.update(at(step, step === 30 ? { validationLoss: 1.25 } : {}));
    }
    view.end();
    expect(out.written).toHaveLength(2);
    expect(out.written[0]).toMatch(/^30 % {2}step 30\/100 .* val 1\.250 .*\n$/);
    expect(out.written[1]).toMatch(/^100 % {2}step 100\/100 .* lr 0\.0025 .* 39 MiB\n$/);
    for (const code of ['\r', '\u001b']) expect(out.written.join('')).not.toContain(code);
  });

  test('shows the scale of a loss, and no norm where gradients were not finite', () => {
    const out = terminal({ isTTY: true, columns: 160 });
    const gradNorm = Number.POSITIVE_INFINITY;
    trainingView(false, out).update(at(100, { gradNorm, lossScale: 32768, skippedSteps: 1 }));
    expect(out.written[0]).toContain('lr 0.0025  grad –  scale 32768  4.32 GFLOP/s');
  });

  test('is an object for each step as JSON', () => {
    const out = terminal();
    trainingView(true, out).update(at(7));
    expect(JSON.parse(out.written[0] ?? '')).toEqual({ event: 'progress', ...at(7) });
  });
});
