import { wasmFeatures } from '../asm/index.ts';
import { defaultDeviceName, relaxedSimdAllowed } from '../base/env.ts';
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
      return new WasmDevice(features.relaxedSimd && relaxedSimdAllowed());
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
