import {
  full,
  Parameter,
  random,
  type Shape,
  scope,
  type Tensor,
  type TensorOptions,
} from '../tensor/index.ts';

export interface InitOptions {
  readonly device?: TensorOptions['device'];
  /** Standard deviation of the initial weights (default 0.02, as GPT-2). */
  readonly std?: number;
}

/** A parameter of normal random numbers from the global generator. */
export function normalInit(name: string, shape: Shape, options: InitOptions): Parameter {
  const { std = 0.02, device } = options;
  const where = device === undefined ? {} : { device };
  // What the numbers are computed from is freed with the first use, not by the collector.
  return parameterOf(
    scope(() => random.normal(shape, { std, ...where })),
    name,
  );
}

/** A parameter that starts with the same number everywhere. */
export function constantInit(
  name: string,
  shape: Shape,
  number: number,
  { device }: InitOptions,
): Parameter {
  return parameterOf(full(shape, number, device === undefined ? {} : { device }), name);
}

/** A parameter that alone owns its value. */
function parameterOf(value: Tensor, name: string): Parameter {
  const parameter = new Parameter(value, name);
  value.dispose();
  return parameter;
}
