import { KernelInterpreter, WasmDevice } from '../../src/device/index.ts';
import { type PackedCase, packedGraph } from '../support/packed-case.ts';
import { firstDifference, runGraph } from '../support/run-graph.ts';

const DEVICES = [
  new KernelInterpreter(true),
  new WasmDevice({ relaxedSimd: true, threads: 1 }),
  new WasmDevice({ relaxedSimd: false, threads: 3, worthThreads: 0 }),
];

/**
 * Runs a product with a packed weight by its templates and by its body on every target: all bits
 * must be equal.
 *
 * @throws Error naming device and element
 */
export async function checkPacked(c: PackedCase): Promise<void> {
  const { inputs, values, output } = packedGraph(c);
  const body = { templates: 'none' } as const;
  const [want] = await runGraph(DEVICES[1], [output], inputs, values, body);
  for (const [d, device] of DEVICES.entries()) {
    const [got] = await runGraph(device, [output], inputs, values, { templates: 'all' });
    const at = firstDifference(want, got);
    if (at < 0) continue;
    throw new Error(
      `${JSON.stringify(c)}, element ${at}: ${got[at]} on ${device.name} (device ${d}), ` +
        `but ${want[at]} by the body`,
    );
  }
}
