import { formatShape, shapesEqual } from '../ir/shape.ts';
import { Tensor } from './tensor.ts';

/** What a running trace does with the cells that the traced function touches. */
export interface CellTrace {
  read(cell: Cell): Tensor;
  write(cell: Cell, value: Tensor): void;
}

let active: CellTrace | undefined;

let writesRefused: string | undefined;

/** @internal Runs `body`, in which no cell may be set; `why` follows the cell's name in the error. */
export function withoutCellWrites<T>(why: string, body: () => T): T {
  const outer = writesRefused;
  writesRefused = why;
  try {
    return body();
  } finally {
    writesRefused = outer;
  }
}

/** True inside the function of a jitted step. */
export function isTracing(): boolean {
  return active !== undefined;
}

/** @internal Runs `body` with a trace that sees reads and writes of cells. */
export function withCellTrace<T>(trace: CellTrace, body: () => T): T {
  const outer = active;
  active = trace;
  try {
    return body();
  } finally {
    active = outer;
  }
}

/**
 * State that changes: holds one immutable tensor, an update puts a new one in its place. Inside a
 * jitted step reads and updates become part of the program, and the memory of the old value is
 * reused where nothing else needs it.
 */
export class Cell {
  readonly name: string;
  #value: Tensor;

  /** @param value the cell takes a reference of its own: the caller may dispose of the tensor */
  constructor(value: Tensor, name = 'cell') {
    this.name = name;
    this.#value = own(value);
  }

  /** The present value; a new handle at each call. */
  get value(): Tensor {
    return active ? active.read(this) : share(this.#value);
  }

  get dtype() {
    return this.#value.dtype;
  }
  get shape() {
    return this.#value.shape;
  }
  get size(): number {
    return this.#value.size;
  }

  /** Puts in a new value of the same type and shape. */
  set(value: Tensor): void {
    if (writesRefused) throw new TypeError(`${this.name}: ${writesRefused}`);
    this.replace(value);
  }

  /** @internal As `set`, wherever it is called. */
  replace(value: Tensor): void {
    if (value.dtype !== this.dtype || !shapesEqual(value.shape, this.shape)) {
      throw new TypeError(
        `${this.name}: new value is ${value.dtype}${formatShape(value.shape)}; ` +
          `expected ${this.dtype}${formatShape(this.shape)}`,
      );
    }
    if (active) {
      active.write(this, value);
      return;
    }
    const old = this.#value;
    this.#value = own(value);
    old.dispose();
  }

  /** @internal The tensor itself, without a new handle. */
  get held(): Tensor {
    return this.#value;
  }

  dispose(): void {
    this.#value.dispose();
  }
}

/** @internal A second handle on the same value. */
export function share(value: Tensor): Tensor {
  value.lazy.retain();
  return new Tensor(value.lazy);
}

/** @internal A handle that no scope disposes of: cells outlive the scope in which they are written. */
export function own(value: Tensor): Tensor {
  const { lazy } = value;
  lazy.retain();
  return Tensor.outsideScopes(lazy);
}

/** A cell that training changes. */
export class Parameter extends Cell {
  /** False: optimisers and gradients leave it alone. */
  trainable = true;
}
