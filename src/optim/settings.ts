import { badArgument } from '../base/errors.ts';
import { unknownName } from '../base/nearest.ts';

/** A setting of an optimiser, as it stands in a configuration file. */
export type Setting = number | boolean | string | readonly number[];

/** What every optimiser can be told. */
export interface CommonSettings {
  /** Learning rate; change it later with `setLearningRate`. */
  readonly lr: number;
  /** Weight decay; whether it adds to the gradient or shrinks the weight is the rule's affair. */
  readonly weightDecay: number;
  /** Goes up the gradient. */
  readonly maximize: boolean;
}

/** Settings with defaults laid under them. */
export function complete<S extends CommonSettings>(
  where: string,
  defaults: S,
  given: Readonly<Record<string, unknown>>,
): S {
  const settings: Record<string, unknown> = Object.fromEntries(Object.entries(defaults));
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const known = (defaults as Record<string, unknown>)[name];
    if (known === undefined) throw unknownName(where, 'option', name, Object.keys(defaults));
    if (!sameKind(value, known)) throw badArgument(where, name, value, kindOf(known));
    settings[name] = value;
  }
  return settings as unknown as S;
}

function sameKind(value: unknown, model: unknown): boolean {
  if (!Array.isArray(model)) return typeof value === typeof model;
  return (
    Array.isArray(value) &&
    value.length === model.length &&
    value.every((v) => typeof v === 'number')
  );
}

function kindOf(model: unknown): string {
  return Array.isArray(model) ? `${model.length} numbers` : `a ${typeof model}`;
}

/** Refuses a number outside low..high (both may be reached). */
export function checkRange(
  where: string,
  name: string,
  value: number,
  low: number,
  high = Number.POSITIVE_INFINITY,
): void {
  if (typeof value === 'number' && value >= low && value <= high) return;
  const expected =
    high === Number.POSITIVE_INFINITY ? `a number >= ${low}` : `a number from ${low} to ${high}`;
  throw badArgument(where, name, value, expected);
}

/** The largest f32 below 1: a share whose complement is never 0. */
const BELOW_ONE = 1 - 2 ** -24;

/** Refuses what is no share of an average that forgets: 0 <= value < 1. */
export function checkDecay(where: string, name: string, value: number): void {
  checkRange(where, name, value, 0, BELOW_ONE);
}

/** Refuses decays of moments that are not both of 0..1. */
export function checkBetas(where: string, betas: readonly number[]): void {
  betas.forEach((beta, i) => {
    checkDecay(where, `betas[${i}]`, beta);
  });
}
