import type { Build, Node, UnaryFn } from './types.ts';

/** The notation in which derivatives are written, over the node constructors. */
export class Arithmetic {
  readonly #build: Build;

  constructor(build: Build) {
    this.#build = build;
  }

  add(x: Node, y: Node): Node {
    return this.#build.binary('add', x, y);
  }
  sub(x: Node, y: Node): Node {
    return this.#build.binary('sub', x, y);
  }
  mul(x: Node, y: Node): Node {
    return this.#build.binary('mul', x, y);
  }
  div(x: Node, y: Node): Node {
    return this.#build.binary('div', x, y);
  }
  neg(x: Node): Node {
    return this.#build.unary('neg', x);
  }
  unary(fn: UnaryFn, x: Node): Node {
    return this.#build.unary(fn, x);
  }
  like(x: Node, value: number): Node {
    return this.#build.constLike(x, value);
  }
  times(x: Node, factor: number): Node {
    return this.mul(x, this.like(x, factor));
  }
  square(x: Node): Node {
    return this.mul(x, x);
  }
  onePlus(x: Node): Node {
    return this.add(x, this.like(x, 1));
  }

  /** max and min: the winner takes the gradient, equal ones half each, a NaN side takes it all. */
  extreme(fn: 'max' | 'min', g: Node, x: Node, y: Node): readonly [Node, Node] {
    const b = this.#build;
    const half = this.times(g, 0.5);
    const zero = this.like(g, 0);
    const tie = b.compare('eq', x, y);
    const beats = (p: Node, q: Node) =>
      fn === 'max' ? b.compare('lt', q, p) : b.compare('lt', p, q);
    const share = (p: Node, q: Node) => {
      const wins = b.binary('or', beats(p, q), b.compare('ne', p, p));
      return b.where(tie, half, b.where(wins, g, zero));
    };
    return [share(x, y), share(y, x)];
  }

  /** y x^(y-1) and x^y log x, each 0 where its factor is 0 though the rest would overflow. */
  power(g: Node, x: Node, y: Node, out: Node): readonly [Node, Node] {
    const b = this.#build;
    const zero = this.like(x, 0);
    const slope = this.mul(y, b.binary('pow', x, this.sub(y, this.like(y, 1))));
    const byX = b.where(b.compare('eq', y, zero), zero, this.mul(g, slope));
    const flat = b.binary('and', b.compare('eq', x, zero), b.compare('le', zero, y));
    const byY = this.mul(g, this.mul(out, this.unary('log', x)));
    return [byX, b.where(flat, zero, byY)];
  }
}
