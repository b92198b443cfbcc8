import { useProgramCache } from '../io/index.ts';
import { type DeviceName, device as deviceOf } from '../tensor/index.ts';
import { makeTrainingStep, REFERENCE } from './reference-model.ts';

/**
 * The fresh process of the compile bench: makes the reference training step on the device that its
 * argument names, runs it once, and writes when it passed which point. The compiler's own times
 * come over standard error, from TERSOR_DEBUG=1.
 */
export interface Marks {
  /** Milliseconds from the start of the process until the model's weights are there. */
  readonly ready: number;
  /** All others from the call of the step: when the graph was traced and compiling began. */
  readonly traced: number;
  readonly compiled: number;
  readonly loaded: number;
  /** When the loss was there. */
  readonly done: number;
}

async function main(name: DeviceName): Promise<void> {
  useProgramCache();
  const training = await makeTrainingStep(REFERENCE, name);
  const ready = performance.now();
  const since = () => performance.now() - ready;
  let [traced, compiled, loaded] = [0, 0, 0];
  // The compiler asks the device for its target first, and the device gets the code at the end.
  const device = deviceOf(name);
  const { target } = device;
  const load = device.load.bind(device);
  Object.defineProperties(device, {
    target: {
      get() {
        traced ||= since();
        return target;
      },
    },
    load: {
      value: async (code: Parameters<typeof load>[0]) => {
        compiled ||= since();
        const executable = await load(code);
        loaded ||= since();
        return executable;
      },
    },
  });
  const loss = await training.step();
  await loss.data();
  const marks: Marks = { ready, traced, compiled, loaded, done: since() };
  console.log(JSON.stringify(marks));
}

await main(process.argv[2] as DeviceName);
