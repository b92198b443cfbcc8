import type { Var } from '../shape.ts';

/**
 * Integer expressions that address buffers. An `Index` is kept in one canonical form, a sum of
 * coefficient x atom plus a constant, so that equal addresses have equal keys, strides can be read
 * off, and bounds can be proven by interval arithmetic. What is not linear (division, remainder) is
 * an atom with an Index inside; the constructors simplify it away wherever ranges allow.
 */
export interface LoopAtom {
  readonly kind: 'loop';
  /** Unique in its kernel; inner loops have larger ids. */
  readonly id: number;
  /** The loop runs over 0 .. extent - 1. */
  readonly extent: Index;
  readonly key: string;
}
export interface VarAtom {
  readonly kind: 'var';
  readonly variable: Var;
  readonly key: string;
}
/** The lane 0 .. lanes - 1 of a vector: an expression that holds it has one value per lane. */
export interface LaneAtom {
  readonly kind: 'lane';
  /** Lanes of the kernel's vectors: one width for all of a kernel, so the key need not tell it. */
  readonly lanes: number;
  readonly key: string;
}
export interface DivAtom {
  readonly kind: 'div';
  readonly of: Index;
  readonly by: number;
  readonly key: string;
}
export interface ModAtom {
  readonly kind: 'mod';
  readonly of: Index;
  readonly by: number;
  readonly key: string;
}
/** An integer read from memory that passed `checked`: 0 .. size - 1. */
export interface DataAtom {
  readonly kind: 'data';
  /** Id of the kernel value. */
  readonly value: number;
  readonly size: number;
  readonly key: string;
}
export type Atom = LoopAtom | VarAtom | LaneAtom | DivAtom | ModAtom | DataAtom;

export interface Term {
  readonly atom: Atom;
  readonly coefficient: number;
}

/** An Index never holds more than one lane atom. */
export class Index {
  /** Sorted by key; no zero coefficients. */
  readonly terms: readonly Term[];
  readonly constant: number;
  /** Made when first asked for: most indices are steps on the way to another. */
  #key: string | undefined;

  constructor(terms: readonly Term[], constant: number) {
    this.terms = terms;
    this.constant = constant;
  }

  /** Equal for equal expressions. */
  get key(): string {
    if (this.#key === undefined) {
      const parts = this.terms.map(({ atom, coefficient }) =>
        coefficient === 1 ? atom.key : `${coefficient}*${atom.key}`,
      );
      if (this.constant !== 0 || parts.length === 0) parts.push(String(this.constant));
      this.#key = parts.join('+');
    }
    return this.#key;
  }

  get isConstant(): boolean {
    return this.terms.length === 0;
  }

  toString(): string {
    return this.key.replaceAll('+-', '-');
  }
}

export const ZERO = new Index([], 0);

export function constant(value: number): Index {
  return value === 0 ? ZERO : new Index([], value);
}

export function atomIndex(atom: Atom): Index {
  return new Index([{ atom, coefficient: 1 }], 0);
}

export function varIndex(variable: Var): Index {
  return atomIndex({ kind: 'var', variable, key: `$${variable.name}` });
}

const laneAtoms = new Map<number, Index>();

/** The lane of a vector of so many. */
export function laneAtom(lanes: number): Index {
  let index = laneAtoms.get(lanes);
  if (!index) {
    index = atomIndex({ kind: 'lane', lanes, key: 'lane' });
    laneAtoms.set(lanes, index);
  }
  return index;
}

/** Sum of a x + b y; the one place where terms meet. Both lists are sorted: they are merged. */
function combine(x: Index, a: number, y: Index, b: number): Index {
  const terms: Term[] = [];
  const left = a === 0 ? [] : x.terms;
  const right = b === 0 ? [] : y.terms;
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const [p, q] = [left[i], right[j]];
    if (!q || (p && p.atom.key < q.atom.key)) {
      terms.push(a === 1 ? p : { atom: p.atom, coefficient: p.coefficient * a });
      i++;
    } else if (!p || q.atom.key < p.atom.key) {
      terms.push(b === 1 ? q : { atom: q.atom, coefficient: q.coefficient * b });
      j++;
    } else {
      const coefficient = p.coefficient * a + q.coefficient * b;
      if (coefficient !== 0) terms.push({ atom: p.atom, coefficient });
      i++;
      j++;
    }
  }
  const total = x.constant * a + y.constant * b;
  return rejoin(terms, total) ?? new Index(terms, total);
}

/** c k (x div k) + c (x mod k) is c x. */
function rejoin(terms: readonly Term[], total: number): Index | undefined {
  for (const mod of terms) {
    if (mod.atom.kind !== 'mod') continue;
    const { of, by } = mod.atom;
    const quotient = div(of, by);
    // The quotient may itself be a sum; only the single-atom case occurs in addresses.
    if (quotient.terms.length !== 1 || quotient.constant !== 0) continue;
    const [q] = quotient.terms;
    const partner = terms.find((t) => t.atom.key === q.atom.key);
    if (!partner || partner.coefficient !== mod.coefficient * by * q.coefficient) continue;
    const rest = terms.filter((t) => t !== mod && t !== partner);
    return combine(new Index(rest, total), 1, of, mod.coefficient);
  }
  return undefined;
}

export function add(x: Index, y: Index | number): Index {
  const other = typeof y === 'number' ? constant(y) : y;
  if (other.isConstant && other.constant === 0) return x;
  return combine(x, 1, other, 1);
}

export function sub(x: Index, y: Index | number): Index {
  return combine(x, 1, typeof y === 'number' ? constant(y) : y, -1);
}

export function mul(x: Index, factor: number): Index {
  if (factor === 1) return x;
  return combine(x, factor, ZERO, 0);
}

function gcd(a: number, b: number): number {
  let [x, y] = [Math.abs(a), Math.abs(b)];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** A condition x >= 0 in lowest terms: 2 i - 5 >= 0 is i - 3 >= 0, since i is an integer. */
export function lowestTerms(x: Index): Index {
  const g = x.terms.reduce((f, t) => gcd(f, t.coefficient), 0);
  if (g <= 1) return x;
  const terms = x.terms.map((t) => ({ atom: t.atom, coefficient: t.coefficient / g }));
  return new Index(terms, Math.floor(x.constant / g));
}

/** x = by * quotient + remainder, the remainder with only the terms that `by` does not divide. */
function split(x: Index, by: number): { quotient: Index; remainder: Index } {
  const whole = x.terms.filter((t) => t.coefficient % by === 0);
  const rest = x.terms.filter((t) => t.coefficient % by !== 0);
  const low = ((x.constant % by) + by) % by;
  const quotient = new Index(
    whole.map((t) => ({ atom: t.atom, coefficient: t.coefficient / by })),
    (x.constant - low) / by,
  );
  return { quotient, remainder: new Index(rest, low) };
}

/** The common factor of a remainder's terms and the divisor: (g r + c) with 0 <= c < g. */
function factored(remainder: Index, by: number) {
  const g = remainder.terms.reduce((f, t) => gcd(f, t.coefficient), by);
  const inner = new Index(
    remainder.terms.map((t) => ({ atom: t.atom, coefficient: t.coefficient / g })),
    Math.floor(remainder.constant / g),
  );
  return { g, inner, low: remainder.constant % g };
}

/**
 * x as high * g + low with 0 <= low < g, for a g > 1 that divides `by`: the low part then changes no
 * quotient. Such are the lanes and columns of a tile that never crosses the end of a row.
 */
function withLowPart(x: Index, by: number) {
  const factors = x.terms.map((t) => gcd(t.coefficient, by)).filter((g) => g > 1);
  for (const g of factors.sort((a, b) => b - a)) {
    const { quotient, remainder } = split(x, g);
    const { min, max } = range(remainder);
    if (min >= 0 && max < g) return { g, high: quotient, low: remainder };
  }
  return undefined;
}

/** Floor of x / by, by a positive constant. */
export function div(x: Index, by: number): Index {
  if (by === 1) return x;
  const { quotient, remainder } = split(x, by);
  const { min, max } = range(remainder);
  if (min >= 0 && max < by) return quotient;
  const { g, inner } = factored(remainder, by);
  if (g > 1) return add(quotient, div(inner, by / g));
  const parts = withLowPart(remainder, by);
  if (parts) return add(quotient, div(parts.high, by / parts.g));
  const [only] = remainder.terms;
  if (remainder.terms.length === 1 && only.coefficient === 1 && remainder.constant === 0) {
    const { atom } = only;
    if (atom.kind === 'div') return add(quotient, div(atom.of, atom.by * by));
    if (atom.kind === 'mod' && atom.by % by === 0) {
      return add(quotient, mod(div(atom.of, by), atom.by / by));
    }
  }
  const key = `(${remainder.key})/${by}`;
  return add(quotient, atomIndex({ kind: 'div', of: remainder, by, key }));
}

/** x - by * floor(x / by), by a positive constant. */
export function mod(x: Index, by: number): Index {
  if (by === 1) return ZERO;
  const { remainder } = split(x, by);
  const { min, max } = range(remainder);
  if (min >= 0 && max < by) return remainder;
  const { g, inner, low } = factored(remainder, by);
  if (g > 1) return add(mul(mod(inner, by / g), g), low);
  const parts = withLowPart(remainder, by);
  if (parts) return add(mul(mod(parts.high, by / parts.g), parts.g), parts.low);
  const [only] = remainder.terms;
  if (remainder.terms.length === 1 && only.coefficient === 1 && remainder.constant === 0) {
    if (only.atom.kind === 'mod' && only.atom.by % by === 0) return mod(only.atom.of, by);
  }
  const key = `(${remainder.key})%${by}`;
  return atomIndex({ kind: 'mod', of: remainder, by, key });
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

function atomRange(atom: Atom): Range {
  switch (atom.kind) {
    case 'loop':
      return { min: 0, max: Math.max(0, range(atom.extent).max - 1) };
    case 'var':
      return { min: atom.variable.min, max: atom.variable.max };
    case 'lane':
      return { min: 0, max: atom.lanes - 1 };
    case 'div': {
      const { min, max } = range(atom.of);
      return { min: Math.floor(min / atom.by), max: Math.floor(max / atom.by) };
    }
    case 'mod': {
      const { min, max } = range(atom.of);
      return { min: 0, max: min >= 0 ? Math.min(max, atom.by - 1) : atom.by - 1 };
    }
    case 'data':
      return { min: 0, max: atom.size - 1 };
    default:
      return atom satisfies never;
  }
}

/** Bounds by interval arithmetic: true always, tight when atoms are independent. */
export function range(x: Index): Range {
  let min = x.constant;
  let max = x.constant;
  for (const { atom, coefficient } of x.terms) {
    const r = atomRange(atom);
    min += coefficient * (coefficient > 0 ? r.min : r.max);
    max += coefficient * (coefficient > 0 ? r.max : r.min);
  }
  return { min, max };
}

/**
 * The largest value, knowing also that a loop's extent may depend on a var: loop atoms are replaced
 * by their last value before intervals are taken, so 4 (n div 4) + (n mod 4) - 1 is seen as n - 1.
 */
export function upperBound(x: Index): number {
  let bound = range(x).max;
  let current = x;
  for (;;) {
    const last = lastLinearLoop(current);
    if (!last) return bound;
    const end = last.coefficient > 0 ? sub(last.atom.extent, 1) : ZERO;
    current = substitute(current, new Map([[last.atom.key, end]]));
    bound = Math.min(bound, range(current).max);
  }
}

/**
 * The innermost loop atom that occurs only as a plain term: the expression is largest at one of its
 * ends. (Inside a division the last turn need not give the largest value.)
 */
function lastLinearLoop(x: Index): { atom: LoopAtom; coefficient: number } | undefined {
  const inside = new Set<string>();
  for (const { atom } of x.terms) {
    if (atom.kind === 'div' || atom.kind === 'mod') visitAtoms(atom.of, (a) => inside.add(a.key));
  }
  let last: { atom: LoopAtom; coefficient: number } | undefined;
  for (const { atom, coefficient } of x.terms) {
    if (atom.kind !== 'loop' || inside.has(atom.key)) continue;
    if (!last || atom.id > last.atom.id) last = { atom, coefficient };
  }
  return last;
}

/** Replaces atoms by their keys, simplifying anew. */
export function substitute(x: Index, replacement: ReadonlyMap<string, Index>): Index {
  let result = constant(x.constant);
  for (const { atom, coefficient } of x.terms) {
    const direct = replacement.get(atom.key);
    let value: Index;
    if (direct) value = direct;
    else if (atom.kind === 'div') value = div(substitute(atom.of, replacement), atom.by);
    else if (atom.kind === 'mod') value = mod(substitute(atom.of, replacement), atom.by);
    else value = atomIndex(atom);
    result = combine(result, 1, value, coefficient);
  }
  return result;
}

/** Calls `visit` for every atom, those inside divisions too. */
export function visitAtoms(x: Index, visit: (atom: Atom) => void): void {
  for (const { atom } of x.terms) {
    visit(atom);
    if (atom.kind === 'div' || atom.kind === 'mod') visitAtoms(atom.of, visit);
  }
}

/** True when an atom occurs in `x`, be it inside a division. */
export function mentions(x: Index, key: string): boolean {
  let found = false;
  visitAtoms(x, (atom) => {
    if (atom.key === key) found = true;
  });
  return found;
}

export function hasLane(x: Index): boolean {
  return mentions(x, 'lane');
}

/** Lanes of the vector that an index stands for; 1 where it does not depend on the lane. */
export function lanesOf(x: Index): number {
  let lanes = 1;
  visitAtoms(x, (atom) => {
    if (atom.kind === 'lane') lanes = atom.lanes;
  });
  return lanes;
}

/** The value of `x` in one lane. */
export function atLane(x: Index, lane: number): Index {
  return substitute(x, new Map([['lane', constant(lane)]]));
}

/**
 * `x` as base + step * lane with a constant step, or undefined when the lanes do not lie evenly
 * (a row ends inside the vector). Step 0: all lanes are the same.
 */
export function laneStep(x: Index): { base: Index; step: number } | undefined {
  const lanes = lanesOf(x);
  if (lanes === 1) return { base: x, step: 0 };
  const base = atLane(x, 0);
  let step = 0;
  for (let lane = 1; lane < lanes; lane++) {
    const distance = sub(atLane(x, lane), base);
    if (!distance.isConstant) return undefined;
    if (lane === 1) step = distance.constant;
    else if (distance.constant !== step * lane) return undefined;
  }
  return { base, step };
}

/** Evaluates with a value for each atom: the meaning of an Index. */
export function evaluateIndex(x: Index, atomValue: (atom: Atom) => number): number {
  let sum = x.constant;
  for (const { atom, coefficient } of x.terms) {
    let value: number;
    if (atom.kind === 'div') value = Math.floor(evaluateIndex(atom.of, atomValue) / atom.by);
    else if (atom.kind === 'mod') {
      const inner = evaluateIndex(atom.of, atomValue);
      value = inner - atom.by * Math.floor(inner / atom.by);
    } else value = atomValue(atom);
    sum += coefficient * value;
  }
  return sum;
}
