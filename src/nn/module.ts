import { Cell, Parameter } from '../tensor/index.ts';

/**
 * A layer or a model: a plain class whose state is its properties, and those of the modules (and
 * lists of modules) it holds. Names are the paths to them, as in PyTorch.
 */
export abstract class Module {
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
