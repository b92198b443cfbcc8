import { type Device, NativeDevice } from '../../src/device/index.ts';
import { nativeRuntime } from '../../src/device/native/support.ts';
import { GuardedDevice, type NativeTarget, nativeTargets } from './guarded-device.ts';

/** Devices for one kind of instructions. */
export interface NativeDevices {
  readonly name: string;
  readonly target: NativeTarget;
  /** One thread, arrays between guards. */
  readonly guarded: GuardedDevice;
  /** Two threads, for programs however short. */
  readonly threads: NativeDevice;
}

let known: readonly NativeDevices[] | undefined;

/** Devices for all instructions of this machine (or those of TERSOR_ISA), made once. */
export function nativeDevices(): readonly NativeDevices[] {
  known ??= nativeTargets().map((target) => {
    const { isa, vnni, bf16Products } = target;
    const options = { worthThreads: 0, maximumBytes: 2 ** 30 };
    return {
      name: `${isa}${vnni ? '' : ' without vnni'}${bf16Products ? ` by ${bf16Products}` : ''}`,
      target,
      guarded: new GuardedDevice(target),
      threads: new NativeDevice(nativeRuntime(), { ...options, target: { ...target, threads: 2 } }),
    };
  });
  return known;
}

/**
 * Devices of each set of instructions for tests that list devices: between guards on one thread, and
 * with two threads. None where the machine has no native.
 */
export function namedNativeDevices(): (readonly [name: string, device: Device])[] {
  return nativeDevices()
    .filter(({ target }, i, all) => i === all.findIndex((d) => d.target.isa === target.isa))
    .flatMap(({ target, guarded, threads }) => [
      [`native, ${target.isa}`, guarded] as const,
      [`native, ${target.isa}, 2 threads`, threads] as const,
    ]);
}
