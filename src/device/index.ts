import { wasmFeatures } from '../asm/index.ts';
import { defaultDeviceName, relaxedSimdAllowed, threadCount } from '../base/env.ts';
import { badArgument } from '../base/errors.ts';
import { GraphInterpreter } from './interpret/graph.ts';
import { KernelInterpreter } from './interpret/kernels.ts';
import type { Device, DeviceName } from './types.ts';
import { WasmDevice } from './wasm/device.ts';

export type { Allocation, Device, DeviceName, Executable } from './types.ts';
export { GraphInterpreter, KernelInterpreter, WasmDevice };

/** `cpu` is the fastest device of the processor that this machine can have. */
export type DeviceChoice = DeviceName | 'cpu';

const devices = new Map<DeviceName, Device>();
let wishedThreads: number | undefined;

/**
 * Threads that run long programs (default: TERSOR_THREADS, else one for each processor). In a
 * browser there is one unless the page is isolated from other origins. There are at most 64.
 *
 * @throws Error once the device is in use
 */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1) {
    throw badArgument('setThreads', 'count', count, 'an integer >= 1');
  }
  if (devices.has('wasm')) {
    throw new Error('setThreads: device wasm is in use; call it before the first tensor is made');
  }
  wishedThreads = count;
}

/** Processors that this process may use. */
function processors(): number {
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  return navigator?.hardwareConcurrency ?? 1;
}

function make(name: DeviceName): Device {
  switch (name) {
    case 'interpret':
      return new GraphInterpreter();
    case 'interpret-kernels':
      return new KernelInterpreter();
    case 'wasm': {
      const features = wasmFeatures();
      if (!features.simd) {
        throw new Error(
          'device wasm: this engine has no WebAssembly SIMD; use Node 24 or later, or a current browser',
        );
      }
      return new WasmDevice({
        relaxedSimd: features.relaxedSimd && relaxedSimdAllowed(),
        threads: features.threads ? (wishedThreads ?? threadCount() ?? processors()) : 1,
      });
    }
    default:
      throw badArgument('device', 'name', name, 'interpret, interpret-kernels, wasm or cpu');
  }
}

/**
 * The device of a name; made on first use, one of each in a process. Without a name the default:
 * TERSOR_DEVICE, else cpu.
 */
export function device(
  name: DeviceChoice = (defaultDeviceName() ?? 'cpu') as DeviceChoice,
): Device {
  const real: DeviceName = name === 'cpu' ? 'wasm' : name;
  let found = devices.get(real);
  if (!found) {
    found = make(real);
    devices.set(real, found);
  }
  return found;
}
