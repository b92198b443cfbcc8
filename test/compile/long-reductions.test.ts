import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import { KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import * as g from '../../src/ir/graph/build.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { firstDifference, numbers, runGraph } from '../support/run-graph.ts';

const LENGTH = 300_000;

describe('reductions of very many elements', () => {
  const rows = g.bufferNode('f32', [3, LENGTH], 'rows');
  const columns = g.bufferNode('f32', [LENGTH, 3], 'columns');
  const values = numbers(7, 3 * LENGTH);
  const turned = new Float32Array(values.length);
  values.forEach((v, i) => {
    turned[(i % LENGTH) * 3 + Math.floor(i / LENGTH)] = v;
  });
  const alongRows = g.reduce('sum', rows, [1]);
  const alongColumns = g.reduce('sum', columns, [0]);

  it('are cut into pieces that threads share, all with the same bits', async () => {
    const program = compileProgram([alongRows], [rows]);
    expect(program.steps.length).toBe(2);
    const devices = [
      new KernelInterpreter(true),
      new WasmDevice({ relaxedSimd: true, threads: 1 }),
      new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 }),
      ...namedNativeDevices().map(([, device]) => device),
    ];
    const results: Float32Array[] = [];
    for (const device of devices) {
      const [along] = await runGraph(device, [alongRows], [rows], [values]);
      const [across] = await runGraph(device, [alongColumns], [columns], [turned]);
      results.push(along as Float32Array, across as Float32Array);
    }
    for (const other of results) expect(firstDifference(results[0], other)).toBe(-1);
    const exact = values.slice(0, LENGTH).reduce((sum, v) => sum + v, 0);
    expect(Math.abs(results[0][0] - exact)).toBeLessThan(2 ** -23 * 40 * LENGTH ** 0.5);
  });

  it('of fewer are not', () => {
    const x = g.bufferNode('f32', [4, 50_257], 'x');
    expect(compileProgram([g.reduce('max', x, [1])], [x]).steps.length).toBe(1);
  });
});
