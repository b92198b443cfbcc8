import type { Shape, Tensor } from '../tensor/index.ts';
import type { CommonSettings } from './settings.ts';

/** The scalars of one step of one group. */
export interface StepScalars {
  readonly lr: Tensor;
  /** Steps including this one. */
  readonly step: Tensor;
  /** The momentum or first beta, where the rule has one. */
  readonly momentum: Tensor;
  /** A scalar of the group's own state. */
  get(key: string): Tensor;
  set(key: string, value: Tensor): void;
}

/** One parameter in one step. */
export interface ParameterStep {
  readonly p: Tensor;
  /** Its gradient, turned around where the rule maximises. */
  readonly g: Tensor;
  /** Weight decay of this parameter; 0 where it is exempt. */
  readonly decay: number;
  get(key: string): Tensor;
  set(key: string, value: Tensor): void;
}

/** State of one parameter: its shape, and the number that it starts with everywhere. */
export interface StateSpec {
  readonly shape: Shape;
  readonly value: number;
}

/** An update rule: everything about an optimiser that is not common to all of them. */
export interface UpdateRule<S extends CommonSettings> {
  readonly name: string;
  readonly defaults: S;
  /** @throws TypeError for settings out of range */
  check(settings: S): void;
  /** @throws TypeError for a parameter that the rule cannot change */
  accepts?(name: string, shape: Shape): void;
  /** State of a parameter under PyTorch's keys. */
  state(settings: S, shape: Shape): Readonly<Record<string, StateSpec>>;
  /** Scalars of a group's own, with their initial values. */
  groupState?(settings: S): Readonly<Record<string, number>>;
  /** The momentum or first beta, which schedules may cycle; undefined where there is none. */
  momentum?(settings: S): number | undefined;
  /** Whether the steps are counted. */
  counts(settings: S): boolean;
  /** Computes what all parameters of a group share; gives the new value of each. */
  begin(settings: S, scalars: StepScalars): (step: ParameterStep) => Tensor;
}

/** State that is all zeros and has the parameter's shape. */
export function zerosLike<K extends string>(shape: Shape, ...keys: K[]): Record<K, StateSpec> {
  return Object.fromEntries(keys.map((key) => [key, { shape, value: 0 }])) as Record<K, StateSpec>;
}

/** 1 - beta^t, exact for small t where the power is close to 1. */
export function biasCorrection(beta: number | Tensor, step: Tensor): Tensor {
  const log = typeof beta === 'number' ? Math.log(beta) : beta.log();
  return step.mul(log).expm1().neg();
}

/** The gradient with the decay added to it: an L2 penalty. */
export function penalised({ p, g, decay }: ParameterStep): Tensor {
  return decay === 0 ? g : g.add(p.mul(decay));
}

/** The parameter shrunk by 1 - lr decay, apart from the gradient (Loshchilov and Hutter 2019). */
export function shrunk({ p, decay }: ParameterStep, lr: Tensor): Tensor {
  return decay === 0 ? p : p.mul(lr.mul(-decay).add(1));
}

/** A moving average: old beta + new (1 - beta). */
export function average(old: Tensor, value: Tensor, beta: number | Tensor): Tensor {
  const rest = typeof beta === 'number' ? 1 - beta : beta.neg().add(1);
  return old.mul(beta).add(value.mul(rest));
}
