import { expect, test } from 'vitest';
import { workerMain } from '../../src/device/wasm/worker.ts';

// esbuild's keepNames, which tsx and others set, turns `const f = () => ...` into a call of a helper
// that the text of a worker does not have. No bundler of this project does so: the text is read.
test('the program of a thread names no function that a bundler could wrap', () => {
  const text = String(workerMain);
  const inner = text.slice(text.indexOf('{') + 1);
  const named =
    /\bfunction\b|\bclass\b|\b(?:const|let|var)\s+\w+\s*=\s*(?:async\b|\([^()]*\)\s*=>|\w+\s*=>)/;
  expect(inner).toContain('onmessage');
  expect(inner).not.toMatch(named);
  expect('const f = (a, b) => a').toMatch(named);
});
