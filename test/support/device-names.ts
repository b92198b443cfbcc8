import { type DeviceName, nativeSupport } from '../../src/device/index.ts';

const support = nativeSupport();

/** Why this machine has no device native, or undefined. */
export const WITHOUT_NATIVE = 'reason' in support ? support.reason : undefined;

if (WITHOUT_NATIVE !== undefined) console.warn(`device native is not tested: ${WITHOUT_NATIVE}`);

const NATIVE = WITHOUT_NATIVE === undefined ? (['native'] as const) : [];

/**
 * With TERSOR_TEST_DEVICES=native these lists hold device native alone: `npm run test:devices` tests it
 * with other instructions, and the other devices have been tested already.
 */
const ALL = process.env.TERSOR_TEST_DEVICES !== 'native' || NATIVE.length === 0;

/** Devices that run generated code here. */
export const MACHINE_DEVICES: readonly ('wasm' | 'native')[] = ALL ? ['wasm', ...NATIVE] : NATIVE;

/** Devices that run what the compiler makes. */
export const COMPILED_DEVICES: readonly Exclude<DeviceName, 'interpret'>[] = ALL
  ? ['interpret-kernels', ...MACHINE_DEVICES]
  : NATIVE;

/** All devices that there are on this machine. */
export const DEVICE_NAMES: readonly DeviceName[] = ALL
  ? ['interpret', ...COMPILED_DEVICES]
  : NATIVE;
