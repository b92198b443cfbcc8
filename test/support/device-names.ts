import { type DeviceName, nativeSupport } from '../../src/device/index.ts';

const support = nativeSupport();

/** Why this machine has no device native, or undefined. */
export const WITHOUT_NATIVE = 'reason' in support ? support.reason : undefined;

if (WITHOUT_NATIVE !== undefined) console.warn(`device native is not tested: ${WITHOUT_NATIVE}`);

const NATIVE = WITHOUT_NATIVE === undefined ? (['native'] as const) : [];

/** Devices that run generated code here. */
export const MACHINE_DEVICES: readonly ('wasm' | 'native')[] = ['wasm', ...NATIVE];

/** Devices that run what the compiler makes. */
export const COMPILED_DEVICES: readonly Exclude<DeviceName, 'interpret'>[] = [
  'interpret-kernels',
  ...MACHINE_DEVICES,
];

/** All devices that there are on this machine. */
export const DEVICE_NAMES: readonly DeviceName[] = ['interpret', ...COMPILED_DEVICES];
