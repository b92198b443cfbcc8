import type { Tensor } from '../tensor/index.ts';
import { Module } from './module.ts';

/** A module from one tensor to one tensor. */
export type Layer = Module & { forward(x: Tensor): Tensor };

/** Modules one after the other; their names are their places: 0, 1, ... */
export class Sequential extends Module {
  readonly [place: number]: Layer;
  readonly length: number;

  constructor(...layers: readonly Layer[]) {
    super();
    this.length = layers.length;
    Object.assign(this, layers);
  }

  forward(x: Tensor): Tensor {
    let y = x;
    for (let i = 0; i < this.length; i++) y = this[i].forward(y);
    return y;
  }
}

/** x + f(x) (He et al. 2016); where f changes the shape, `shortcut` changes that of x likewise. */
export class Residual extends Module {
  readonly body: Layer;
  readonly shortcut: Layer | undefined;

  constructor(body: Layer, shortcut?: Layer) {
    super();
    this.body = body;
    this.shortcut = shortcut;
  }

  forward(x: Tensor): Tensor {
    const past = this.shortcut ? this.shortcut.forward(x) : x;
    return past.add(this.body.forward(x));
  }
}

/** x itself. */
export class Identity extends Module {
  forward(x: Tensor): Tensor {
    return x;
  }
}

/** [n, ...] to [n, all others]; `start` and `end` choose the axes that become one. */
export class Flatten extends Module {
  readonly #start: number;
  readonly #end: number;

  constructor({ start = 1, end = -1 }: { readonly start?: number; readonly end?: number } = {}) {
    super();
    this.#start = start;
    this.#end = end;
  }

  forward(x: Tensor): Tensor {
    return x.flatten(this.#start, this.#end);
  }
}
