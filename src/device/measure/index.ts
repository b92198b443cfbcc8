export {
  type MachineMeasurements,
  type MeasureOptions,
  makeProbes,
  measureMachine,
  type Probe,
  type Probes,
  type Rate,
  type RateUnit,
} from './machine.ts';
export {
  makeNativeProbes,
  measureNative,
  type NativeMeasurements,
  type NativeMeasureOptions,
  type NativeProbes,
} from './native.ts';
export { makeThreadProbes, type ThreadProbes } from './threads.ts';
