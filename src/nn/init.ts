import { type DeviceChoice, Parameter, random, type Shape } from '../tensor/index.ts';

export interface InitOptions {
  readonly device?: DeviceChoice;
  /** Standard deviation of the initial weights (default 0.02, as GPT-2). */
  readonly std?: number;
}

/** A parameter of normal random numbers from the global generator. */
export function normalInit(name: string, shape: Shape, options: InitOptions): Parameter {
  const { std = 0.02, device } = options;
  const value = random.normal(shape, { std, ...(device === undefined ? {} : { device }) });
  const parameter = new Parameter(value, name);
  value.dispose();
  return parameter;
}
