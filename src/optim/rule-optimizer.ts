import { badArgument } from '../base/errors.ts';
import {
  Cell,
  type Device,
  full,
  type Parameter,
  type Shape,
  type Tensor,
  tensor,
} from '../tensor/index.ts';
import { type Optimizer, type Selection, selector } from './optimizer.ts';
import type { StepScalars, UpdateRule } from './rule.ts';
import { type CommonSettings, checkDecay, checkRange, complete } from './settings.ts';

/** Parameters with settings of their own. */
export type Group<S extends CommonSettings> = Partial<S> & { readonly parameters: Selection };

/** Options of an optimiser: its settings, and what differs between parameters. */
export type OptimizerOptions<S extends CommonSettings> = Partial<S> & {
  /** A parameter belongs to the first group that names it, else to none and has the settings above. */
  readonly groups?: readonly Group<S>[];
  /** What weight decay acts on: all parameters (PyTorch's default), those of two or more axes, or a test. */
  readonly decays?: 'all' | 'matrices' | ((name: string, parameter: Parameter) => boolean);
};

interface Slot {
  readonly name: string;
  readonly parameter: Parameter;
  readonly decay: number;
  readonly state: ReadonlyMap<string, Cell>;
}

interface Members<S> {
  readonly settings: S;
  /** Its rate over the optimiser's. */
  readonly rate: number;
  readonly slots: Slot[];
  readonly momentum: Cell | undefined;
  readonly state: ReadonlyMap<string, Cell>;
}

/**
 * An optimiser of one update rule. Each parameter's whole update is one kernel where the rule is
 * pointwise: its state and its value are computed by one loop over its elements.
 */
export class RuleOptimizer<S extends CommonSettings> implements Optimizer {
  readonly #rule: UpdateRule<S>;
  readonly #members: Members<S>[] = [];
  readonly #device: Device;
  readonly #lr: Cell;
  readonly #step: Cell | undefined;

  /** @param parameters by name; those that are not trainable are left alone */
  constructor(
    rule: UpdateRule<S>,
    parameters: ReadonlyMap<string, Parameter>,
    { groups = [], decays = 'all', ...given }: OptimizerOptions<S>,
  ) {
    this.#rule = rule;
    const settings = this.#complete(rule.defaults, given);
    const trainable = [...parameters].filter(([, p]) => p.trainable);
    const [first] = trainable;
    if (!first) throw badArgument(rule.name, 'parameters', parameters, 'at least one to train');
    this.#device = first[1].held.device;
    this.#lr = this.#cell('lr', [], settings.lr);
    const decaying = decayTest(rule.name, decays);

    if (!Array.isArray(groups)) throw badArgument(rule.name, 'groups', groups, 'a list of groups');
    let rest = trainable;
    groups.forEach(({ parameters: selection, ...own }, i) => {
      const chosen = selector(rule.name, selection);
      const taken = rest.filter(([name, p]) => chosen(name, p));
      if (taken.length === 0) {
        const expected = 'a selection of some parameter that no group before it takes';
        throw badArgument(rule.name, `groups[${i}].parameters`, selection, expected);
      }
      rest = rest.filter((entry) => !taken.includes(entry));
      this.#add(this.#complete(settings, own), settings.lr, taken, decaying);
    });
    if (rest.length > 0) this.#add(settings, settings.lr, rest, decaying);
    const counted = this.#members.some((group) => rule.counts(group.settings));
    this.#step = counted ? this.#cell('step', [], 0) : undefined;
  }

  #complete(defaults: S, given: Readonly<Record<string, unknown>>): S {
    const { name } = this.#rule;
    const settings = complete(name, defaults, given);
    checkRange(name, 'lr', settings.lr, 0);
    checkRange(name, 'weightDecay', settings.weightDecay, 0);
    this.#rule.check(settings);
    return settings;
  }

  #add(
    settings: S,
    lr: number,
    parameters: readonly [string, Parameter][],
    decaying: (name: string, p: Parameter) => boolean,
  ): void {
    const rule = this.#rule;
    if (settings.lr !== lr && lr === 0) {
      throw badArgument(rule.name, 'lr', lr, 'a rate > 0, of which that of a group is a multiple');
    }
    const slots = parameters.map(([name, parameter]): Slot => {
      const { dtype, shape } = parameter;
      if (dtype !== 'f32') throw badArgument(rule.name, name, dtype, 'a parameter of f32');
      rule.accepts?.(name, shape);
      const specs = Object.entries(rule.state(settings, shape));
      const state = new Map(
        specs.map(([key, { shape, value }]) => [key, this.#cell(`${name}.${key}`, shape, value)]),
      );
      return {
        name,
        parameter,
        decay: decaying(name, parameter) ? settings.weightDecay : 0,
        state,
      };
    });
    const place = this.#members.length;
    const momentum = rule.momentum?.(settings);
    const own = Object.entries(rule.groupState?.(settings) ?? {});
    this.#members.push({
      settings,
      rate: settings.lr === lr ? 1 : settings.lr / lr,
      slots,
      momentum: momentum === undefined ? undefined : this.#cell('momentum', [], momentum),
      state: new Map(
        own.map(([key, value]) => [key, this.#cell(`groups.${place}.${key}`, [], value)]),
      ),
    });
  }

  #cell(name: string, shape: Shape, value: number): Cell {
    const device = this.#device;
    // An array, not a constant: of a constant every value would be a program of its own.
    const made = shape.length === 0 ? tensor(value, { device }) : full(shape, value, { device });
    const cell = new Cell(made, name);
    made.dispose();
    return cell;
  }

  setLearningRate(lr: number): void {
    checkRange(this.#rule.name, 'lr', lr, 0);
    this.#put(this.#lr, lr);
  }

  setMomentum(momentum: number): void {
    const { name } = this.#rule;
    checkDecay(name, 'momentum', momentum);
    for (const { momentum: cell } of this.#members) {
      if (!cell) {
        throw new TypeError(
          `${name}: momentum is set, but this optimiser has none; give it one when it is made, or ` +
            'take a schedule that does not cycle it',
        );
      }
      this.#put(cell, momentum);
    }
  }

  #put(cell: Cell, value: number): void {
    const made = tensor(value, { device: this.#device });
    cell.set(made);
    made.dispose();
  }

  update(grads: ReadonlyMap<string, Tensor>): void {
    const { name } = this.#rule;
    const step = this.#step?.value.add(1);
    if (step) this.#step?.set(step);
    for (const group of this.#members) {
      const next = this.#rule.begin(group.settings, this.#scalars(group, step));
      for (const { name: of, parameter, decay, state } of group.slots) {
        const given = grads.get(of);
        if (!given) throw new TypeError(`${name}: the gradient of ${of} is missing`);
        const g = group.settings.maximize ? given.neg() : given;
        parameter.set(next({ p: parameter.value, g, decay, ...access(state) }));
      }
    }
  }

  #scalars(group: Members<S>, step: Tensor | undefined): StepScalars {
    const { name } = this.#rule;
    const lr = this.#lr.value;
    return {
      lr: group.rate === 1 ? lr : lr.mul(group.rate),
      get step(): Tensor {
        if (!step) throw new TypeError(`${name}: no step is counted`);
        return step;
      },
      get momentum(): Tensor {
        if (!group.momentum) throw new TypeError(`${name}: there is no momentum`);
        return group.momentum.value;
      },
      ...access(group.state),
    };
  }

  parameters(): Map<string, Parameter> {
    const slots = this.#members.flatMap((group) => group.slots);
    return new Map(slots.map(({ name, parameter }) => [name, parameter]));
  }

  state(): Map<string, Cell> {
    const cells = new Map<string, Cell>();
    if (this.#step) cells.set('step', this.#step);
    for (const { slots, state } of this.#members) {
      for (const cell of state.values()) cells.set(cell.name, cell);
      for (const slot of slots) for (const cell of slot.state.values()) cells.set(cell.name, cell);
    }
    return cells;
  }

  dispose(): void {
    const momenta = this.#members.flatMap(({ momentum }) => momentum ?? []);
    for (const cell of [...this.state().values(), this.#lr, ...momenta]) cell.dispose();
  }
}

function access(state: ReadonlyMap<string, Cell>) {
  const cell = (key: string): Cell => {
    const found = state.get(key);
    if (!found) throw new TypeError(`no state ${key}`);
    return found;
  };
  return {
    get: (key: string) => cell(key).value,
    set: (key: string, value: Tensor) => cell(key).set(value),
  };
}

function decayTest(
  where: string,
  decays: 'all' | 'matrices' | ((name: string, parameter: Parameter) => boolean),
): (name: string, parameter: Parameter) => boolean {
  if (typeof decays === 'function') return decays;
  switch (decays) {
    case 'all':
      return () => true;
    case 'matrices':
      return (_name, p) => p.shape.length >= 2;
    default:
      throw badArgument(where, 'decays', decays satisfies never, "'all', 'matrices' or a function");
  }
}
