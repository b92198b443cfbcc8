import { isFloat } from '../ir/dtype.ts';
import { formatShape, shapesEqual } from '../ir/shape.ts';
import { Cell, Flag, Parameter, type Tensor } from '../tensor/index.ts';

/**
 * A layer or a model: a plain class whose state is its properties, and those of the modules (and
 * lists of modules) it holds. Names are the paths to them, as in PyTorch.
 */
export abstract class Module {
  readonly #training = new Flag(true, `${this.constructor.name}.training`);

  /** The mode of dropout and of normalisation by batches; see `train`. */
  get training(): boolean {
    return this.#training.value;
  }

  /**
   * Puts this module and all that it holds into training mode (the mode of a new module) or out of
   * it. Jitted steps follow: each mode has a program of its own.
   *
   * @throws TypeError for a change inside a jitted step
   */
  train(mode = true): this {
    for (const module of this.modules().values()) module.#training.set(mode);
    return this;
  }

  /** Evaluation mode: nothing is dropped, running statistics are used and not changed. */
  eval(): this {
    return this.train(false);
  }

  /** All cells by dotted name, in order of definition; a shared one appears once. */
  state(): Map<string, Cell> {
    const found = new Map<string, Cell>();
    const seen = new Set<Cell>();
    this.#visit('', (path, value) => {
      if (!(value instanceof Cell)) return;
      if (!seen.has(value)) found.set(path, value);
      seen.add(value);
    });
    return found;
  }

  /** What can be trained, by dotted name: see `state`. */
  parameters(): Map<string, Parameter> {
    return new Map(
      [...this.state()].filter((entry): entry is [string, Parameter] => {
        return entry[1] instanceof Parameter;
      }),
    );
  }

  /** State that is not trained: running statistics, packed weights. */
  buffers(): Map<string, Cell> {
    return new Map([...this.state()].filter(([, cell]) => !(cell instanceof Parameter)));
  }

  /** The values of `state`, by name; the caller disposes of them. */
  stateDict(): Map<string, Tensor> {
    return new Map([...this.state()].map(([name, cell]) => [name, cell.value]));
  }

  /**
   * Puts values into parameters and buffers, all or none. A value of another float type is rounded to
   * the cell's.
   *
   * @param values by the names of `state`; the caller keeps them
   * @param options `strict` (default true): every cell gets a value, every value has its cell
   * @throws TypeError for a name that is missing or of no cell, and for a shape that differs
   */
  loadState(
    values: ReadonlyMap<string, Tensor>,
    { strict = true }: { readonly strict?: boolean } = {},
  ): void {
    const cells = this.state();
    if (strict) {
      requireNone(
        'missing',
        [...cells.keys()].filter((name) => !values.has(name)),
      );
      requireNone(
        'of no cell',
        [...values.keys()].filter((name) => !cells.has(name)),
      );
    }
    const known = [...values].flatMap(([name, value]) => {
      const cell = cells.get(name);
      return cell ? [{ name, cell, value }] : [];
    });
    for (const { name, cell, value } of known) requireFit(name, cell, value);
    for (const { cell, value } of known) {
      // What the rounding makes is freed at once, the caller's tensor is left alone.
      const made = value.dtype === cell.dtype ? undefined : value.cast(cell.dtype);
      cell.set(made ?? value);
      made?.dispose();
    }
  }

  /** All modules by dotted name, this one first, under the empty name. */
  modules(): Map<string, Module> {
    const found = new Map<string, Module>([['', this]]);
    this.#visit('', (path, value) => {
      if (value instanceof Module) found.set(path, value);
    });
    return found;
  }

  /** Number of trained values. */
  parameterCount(): number {
    return [...this.parameters().values()].reduce((n, p) => n + p.size, 0);
  }

  dispose(): void {
    for (const cell of this.state().values()) cell.dispose();
  }

  #visit(path: string, found: (path: string, value: Cell | Module) => void): void {
    const visit = (value: unknown, at: string): void => {
      if (value instanceof Cell) found(at, value);
      else if (value instanceof Module) {
        found(at, value);
        value.#visit(at, found);
      } else if (Array.isArray(value))
        for (const [i, item] of value.entries()) visit(item, `${at}.${i}`);
    };
    for (const [name, value] of Object.entries(this)) visit(value, path ? `${path}.${name}` : name);
  }
}

function requireNone(what: string, names: readonly string[]): void {
  if (names.length === 0) return;
  throw new TypeError(
    `loadState: ${names.length} names are ${what}: ${names.slice(0, 8).join(', ')}` +
      `${names.length > 8 ? ', ...' : ''}; give each its own, or set strict: false`,
  );
}

function requireFit(name: string, cell: Cell, { dtype, shape }: Tensor): void {
  const sameType = dtype === cell.dtype || (isFloat(dtype) && isFloat(cell.dtype));
  if (sameType && shapesEqual(shape, cell.shape)) return;
  const [got, expected] = [{ dtype, shape }, cell].map((x) => x.dtype + formatShape(x.shape));
  throw new TypeError(`loadState: ${name} is ${got}; expected ${expected}`);
}
