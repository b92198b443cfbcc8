import { type Device, makeNativeDevice } from '../../src/device/index.ts';
import { GuardedDevice, type NativeTarget, nativeTargets } from './guarded-device.ts';

/** Devices for one kind of instructions. */
export interface NativeDevices {
  readonly name: string;
  readonly target: NativeTarget;
  /** One thread, arrays between guards. */
  readonly guarded: GuardedDevice;
  /** Two threads, for programs however short. */
  readonly threads: Device;
}

let known: readonly NativeDevices[] | undefined;

/** Devices for all instructions of this machine (or those of TERSOR_ISA), made once. */
export function nativeDevices(): readonly NativeDevices[] {
  known ??= nativeTargets().map((target) => {
    const { isa, vnni } = target;
    const options = { isa, threads: 2, worthThreads: 0, maximumBytes: 2 ** 30 };
    return {
      name: `${isa}${vnni ? '' : ' without vnni'}`,
      target,
      guarded: new GuardedDevice(target),
      threads: makeNativeDevice(options),
    };
  });
  return known;
}
