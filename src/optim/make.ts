import { badArgument } from '../base/errors.ts';
import { unknownName } from '../base/nearest.ts';
import type { Parameter } from '../tensor/index.ts';
import { Adadelta } from './adadelta.ts';
import { Adafactor } from './adafactor.ts';
import { Adagrad } from './adagrad.ts';
import { Adam } from './adam.ts';
import { Adamax } from './adamax.ts';
import { AdamW } from './adamw.ts';
import { CombinedOptimizer } from './combined.ts';
import { Lion } from './lion.ts';
import { Muon } from './muon.ts';
import { NAdam } from './nadam.ts';
import { type Optimizer, type Selection, selector } from './optimizer.ts';
import { RAdam } from './radam.ts';
import { RMSprop } from './rmsprop.ts';
import { SGD } from './sgd.ts';

/**
 * An optimiser as it stands in a configuration file: its name and its options, and those of groups
 * of parameters. `rest` is another optimiser for the parameters that this one does not take: those
 * named by `restParameters`, by default all that are no matrices.
 */
export type OptimizerSpec = Readonly<Record<string, unknown>> & {
  readonly name: string;
  readonly rest?: OptimizerSpec;
  readonly restParameters?: Selection;
};

type Parameters = ReadonlyMap<string, Parameter>;

const CLASSES = {
  sgd: SGD,
  adam: Adam,
  adamw: AdamW,
  adamax: Adamax,
  nadam: NAdam,
  radam: RAdam,
  rmsprop: RMSprop,
  adagrad: Adagrad,
  adadelta: Adadelta,
  adafactor: Adafactor,
  lion: Lion,
  muon: Muon,
} as const;

export const OPTIMIZER_NAMES: readonly string[] = Object.keys(CLASSES);

/**
 * An optimiser from plain JSON, as `{ name: 'adamw', lr: 0.001, betas: [0.9, 0.95] }` or
 * `{ name: 'muon', lr: 0.02, rest: { name: 'adamw', lr: 0.003 }, restParameters: ['*embed*'] }`.
 *
 * @throws TypeError naming an unknown optimiser or option with the nearest name there is, or an
 *   option of the wrong kind or range
 */
export function makeOptimizer(spec: OptimizerSpec, parameters: Parameters): Optimizer {
  const { name, rest, restParameters, ...options } = spec;
  if (typeof name !== 'string') throw badArgument('optimizer', 'name', name, 'a name');
  const Class = classOf(name);
  if (rest === undefined) {
    if (restParameters !== undefined) {
      throw badArgument('optimizer', 'restParameters', restParameters, 'rest beside it');
    }
    return new Class(parameters, options);
  }
  const inRest = selector('optimizer', restParameters ?? []);
  const isRest = (key: string, p: Parameter) => p.shape.length !== 2 || inRest(key, p);
  const of = (wanted: boolean) =>
    new Map([...parameters].filter(([key, p]) => isRest(key, p) === wanted));
  return new CombinedOptimizer([
    { optimizer: new Class(of(false), options), lr: rateOf(spec) },
    { optimizer: makeOptimizer(rest, of(true)), lr: rateOf(rest) },
  ]);
}

/** The rate that a specification gives: where two are combined, both must be said. */
function rateOf({ name, lr }: OptimizerSpec): number {
  if (typeof lr === 'number') return lr;
  throw badArgument(`optimizer ${name}`, 'lr', lr, 'a number, since it stands beside another one');
}

function classOf(name: string): new (parameters: Parameters, options: object) => Optimizer {
  const key = name.toLowerCase();
  if (Object.hasOwn(CLASSES, key)) return CLASSES[key as keyof typeof CLASSES];
  throw unknownName('optimizer', 'name', name, OPTIMIZER_NAMES);
}
