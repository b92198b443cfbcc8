import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { WITHOUT_NATIVE } from '../support/device-names.ts';
import { nativeTargets } from '../support/guarded-device.ts';
import type { ProgramBits } from '../support/program-bits.ts';
import { ROOT } from '../support/source-tree.ts';

async function bitsOf(steps: number, environment: Record<string, string>): Promise<ProgramBits> {
  const script = join(ROOT, 'test', 'support', 'program-bits.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [script, String(steps)], {
    env: { ...process.env, ...environment },
  });
  return JSON.parse(stdout);
}

describe.skipIf(WITHOUT_NATIVE)('whole programs', () => {
  const isas = [...new Set(nativeTargets().map(({ isa }) => isa))];

  it('train and differentiate with the bits of wasm on native, by any instructions', async () => {
    const wasm = await bitsOf(4, { TERSOR_DEVICE: 'wasm', TERSOR_THREADS: '1' });
    for (const isa of isas) {
      for (const threads of ['1', '2']) {
        const native = { TERSOR_DEVICE: 'native', TERSOR_ISA: isa, TERSOR_THREADS: threads };
        expect(await bitsOf(4, native), `${isa}, ${threads} threads`).toEqual(wasm);
      }
    }
    // The graph interpreter rounds sums once: its numbers are near, not the same.
    const graph = await bitsOf(1, { TERSOR_DEVICE: 'interpret' });
    expect(graph.losses[0]).toBeCloseTo(wasm.losses[0], 4);
    expect(graph.convolution.loss).toBeCloseTo(wasm.convolution.loss, 4);
  }, 600_000);
});
