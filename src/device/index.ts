import { wasmFeatures } from '../asm/index.ts';
import { defaultDeviceName, isaSetting, relaxedSimdAllowed, threadCount } from '../base/env.ts';
import { badArgument } from '../base/errors.ts';
import { GraphInterpreter } from './interpret/graph.ts';
import { KernelInterpreter } from './interpret/kernels.ts';
import { NativeDevice, type NativeDeviceOptions } from './native/device.ts';
import { nativeRuntime, nativeSupport, nativeTarget } from './native/support.ts';
import type { Device, DeviceName } from './types.ts';
import { WasmDevice } from './wasm/device.ts';

export { readBreadcrumb } from './native/breadcrumb.ts';
export type { NativeMachine, NativeSupport } from './native/support.ts';
export type { Allocation, Device, DeviceName, Executable } from './types.ts';
export { GraphInterpreter, KernelInterpreter, NativeDevice, nativeSupport, WasmDevice };

/** `cpu` is native where this machine can have it, else wasm. */
export type DeviceChoice = DeviceName | 'cpu';

const devices = new Map<DeviceName, Device>();
let wishedThreads: number | undefined;

/**
 * Threads that run long programs (default: TERSOR_THREADS, else one for each processor). In a
 * browser there is one unless the page is isolated from other origins. There are at most 64, and
 * 256 on device native.
 *
 * @throws Error once the device is in use
 */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1) {
    throw badArgument('setThreads', 'count', count, 'an integer >= 1');
  }
  for (const name of ['native', 'wasm'] as const) {
    if (!devices.has(name)) continue;
    throw new Error(
      `setThreads: device ${name} is in use; call it before the first tensor is made`,
    );
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
    case 'native':
      return makeNativeDevice();
    default:
      throw badArgument(
        'device',
        'name',
        name,
        'interpret, interpret-kernels, wasm, native or cpu',
      );
  }
}

/**
 * A device of machine code with memory and threads of its own, apart from `device('native')`.
 *
 * @throws Error with the reason where this machine cannot have one
 * @throws RangeError where TERSOR_ISA asks for what it does not have
 */
export function makeNativeDevice(
  options: Omit<NativeDeviceOptions, 'target'> & {
    readonly threads?: number;
    readonly isa?: 'avx2' | 'avx512';
  } = {},
): NativeDevice {
  const { threads, isa, ...rest } = options;
  const runtime = nativeRuntime();
  const support = nativeSupport();
  if ('reason' in support) throw new Error(`device native: ${support.reason}`);
  const count = threads ?? wishedThreads ?? threadCount() ?? support.threads;
  const target = nativeTarget(support, isa ?? isaSetting(), count);
  return new NativeDevice(runtime, { ...rest, target });
}

/** What `cpu` stands for on this machine. */
function cpuDevice(): 'native' | 'wasm' {
  const isa = isaSetting();
  if (isa === 'none') return 'wasm';
  // Who asks for instructions wants no other device in their place.
  return isa !== undefined || !('reason' in nativeSupport()) ? 'native' : 'wasm';
}

/**
 * The device of a name; made on first use, one of each in a process. Without a name the default:
 * TERSOR_DEVICE, else cpu.
 */
export function device(
  name: DeviceChoice = (defaultDeviceName() ?? 'cpu') as DeviceChoice,
): Device {
  const real: DeviceName = name === 'cpu' ? cpuDevice() : name;
  let found = devices.get(real);
  if (!found) {
    found = make(real);
    devices.set(real, found);
  }
  return found;
}
