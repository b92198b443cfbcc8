import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Atom,
  add,
  atLane,
  atomIndex,
  constant,
  div,
  evaluateIndex,
  hasLane,
  type Index,
  laneAtom,
  laneStep,
  mod,
  mul,
  range,
  sub,
  substitute,
  upperBound,
  varIndex,
} from '../../src/ir/kernel/index-expr.ts';
import { WASM_KERNELS } from '../../src/ir/kernel/types.ts';
import { largest, proveNonNegative, smallest } from '../../src/ir/kernel/verify-bounds.ts';
import { variable } from '../../src/ir/shape.ts';

const LANES: number = WASM_KERNELS.lanes;
const LANE = laneAtom(LANES);

/** What an index means, written as it is read, without any simplification. */
type Spec =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'atom'; readonly name: AtomName }
  | { readonly kind: 'add' | 'sub'; readonly a: Spec; readonly b: Spec }
  | { readonly kind: 'mul' | 'div' | 'mod'; readonly a: Spec; readonly by: number };

const ATOMS = ['n', 'outer', 'inner', 'tail', 'data', 'lane'] as const;
type AtomName = (typeof ATOMS)[number];
type Values = { readonly [A in AtomName]: number };

interface World {
  readonly atoms: { readonly [A in AtomName]: Index };
  readonly values: Values;
}

/** Atoms with random bounds, and values for them as a running kernel could have them. */
const world: fc.Arbitrary<World> = fc
  .record({
    low: fc.integer({ min: 1, max: 9 }),
    spread: fc.nat(8),
    extent: fc.integer({ min: 1, max: 7 }),
    form: fc.constantFrom<('var' | 'triangle' | 'quarter')[]>('var', 'triangle', 'quarter'),
    size: fc.integer({ min: 1, max: 9 }),
    picks: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), {
      minLength: 6,
      maxLength: 6,
    }),
  })
  .map(({ low, spread, extent, form, size, picks }) => {
    const pick = (i: number, count: number) => Math.floor(picks[i] * count);
    const n = varIndex(variable('n', low, low + spread));
    const outer = loop(0, constant(extent));
    const innerExtent =
      form === 'var' ? n : form === 'triangle' ? add(outer, 1) : add(div(n, 4), 1);
    const inner = loop(1, innerExtent);
    const tail = loop(2, add(mod(n, 4), 1));
    const nValue = low + pick(0, spread + 1);
    const outerValue = pick(1, extent);
    const innerCount =
      form === 'var' ? nValue : form === 'triangle' ? outerValue + 1 : Math.floor(nValue / 4) + 1;
    const data = atomIndex({ kind: 'data', value: 5, size, key: 'data5' });
    return {
      atoms: { n, outer, inner, tail, data, lane: LANE },
      values: {
        n: nValue,
        outer: outerValue,
        inner: pick(2, innerCount),
        tail: pick(3, (nValue % 4) + 1),
        data: pick(4, size),
        lane: pick(5, LANES),
      },
    };
  });

function loop(id: number, extent: Index): Index {
  return atomIndex({ kind: 'loop', id, extent, key: `i${id}` });
}

const { spec } = fc.letrec<{ spec: Spec }>((tie) => ({
  spec: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.record({ kind: fc.constant('number' as const), value: fc.integer({ min: -20, max: 20 }) }),
    fc.record({ kind: fc.constant('atom' as const), name: fc.constantFrom(...ATOMS) }),
    fc.record({
      kind: fc.constantFrom<('add' | 'sub')[]>('add', 'sub'),
      a: tie('spec'),
      b: tie('spec'),
    }),
    fc.record({
      kind: fc.constant('mul' as const),
      a: tie('spec'),
      by: fc.integer({ min: -6, max: 8 }),
    }),
    fc.record({
      kind: fc.constantFrom<('div' | 'mod')[]>('div', 'mod'),
      a: tie('spec'),
      by: fc.integer({ min: 1, max: 8 }),
    }),
  ),
}));

/** One loop both plain and divided, each with its own sign. */
const entangled: fc.Arbitrary<Spec> = fc
  .record({
    name: fc.constantFrom<AtomName[]>('outer', 'inner', 'tail'),
    kind: fc.constantFrom<('div' | 'mod')[]>('div', 'mod'),
    by: fc.integer({ min: 2, max: 5 }),
    plain: fc.integer({ min: -6, max: 6 }),
    divided: fc.integer({ min: -6, max: 6 }),
    rest: spec,
  })
  .map(({ name, kind, by, plain, divided, rest }) => {
    const atom = { kind: 'atom', name } as const;
    const a = { kind: 'mul', a: atom, by: plain } as const;
    const b = { kind: 'mul', a: { kind, a: atom, by }, by: divided } as const;
    return { kind: 'add', a: { kind: 'add', a, b }, b: rest };
  });

function build(s: Spec, atoms: World['atoms']): Index {
  switch (s.kind) {
    case 'number':
      return constant(s.value);
    case 'atom':
      return atoms[s.name];
    case 'add':
      return add(build(s.a, atoms), build(s.b, atoms));
    case 'sub':
      return sub(build(s.a, atoms), build(s.b, atoms));
    case 'mul':
      return mul(build(s.a, atoms), s.by);
    case 'div':
      return div(build(s.a, atoms), s.by);
    case 'mod':
      return mod(build(s.a, atoms), s.by);
    default:
      return s satisfies never;
  }
}

function meaning(s: Spec, values: Values): number {
  switch (s.kind) {
    case 'number':
      return s.value;
    case 'atom':
      return values[s.name];
    case 'add':
      return meaning(s.a, values) + meaning(s.b, values);
    case 'sub':
      return meaning(s.a, values) - meaning(s.b, values);
    case 'mul':
      return meaning(s.a, values) * s.by + 0;
    case 'div':
      return Math.floor(meaning(s.a, values) / s.by);
    case 'mod': {
      const x = meaning(s.a, values) % s.by;
      return x < 0 ? x + s.by : x + 0;
    }
    default:
      return s satisfies never;
  }
}

function valueIn({ values }: World): (atom: Atom) => number {
  return (atom) => {
    switch (atom.kind) {
      case 'loop':
        return [values.outer, values.inner, values.tail][atom.id];
      case 'var':
        return values.n;
      case 'data':
        return values.data;
      case 'lane':
        return values.lane;
      case 'div':
      case 'mod':
        throw new Error('evaluateIndex computes divisions itself');
      default:
        return atom satisfies never;
    }
  };
}

const RUNS = { numRuns: 5000 };

describe('the algebra of indices', () => {
  test('keeps the meaning of sums, products, quotients and remainders', () => {
    fc.assert(
      fc.property(world, spec, (w, s) => {
        expect(evaluateIndex(build(s, w.atoms), valueIn(w)) + 0).toBe(meaning(s, w.values) + 0);
      }),
      RUNS,
    );
  });

  test('has one key for one sum of atoms, whatever the order', () => {
    fc.assert(
      fc.property(world, spec, spec, (w, s, t) => {
        const [x, y] = [build(s, w.atoms), build(t, w.atoms)];
        expect(add(x, y).key).toBe(add(y, x).key);
        // Quotients and remainders may meet and part again in another form of the same value.
        const back = sub(add(x, y), y);
        const valueAt = valueIn(w);
        expect(evaluateIndex(back, valueAt) + 0).toBe(evaluateIndex(x, valueAt) + 0);
        expect(sub(x, x).isConstant).toBe(true);
      }),
      RUNS,
    );
  });

  test('puts what a remainder and a quotient share together again', () => {
    fc.assert(
      fc.property(world, spec, fc.integer({ min: 1, max: 8 }), (w, s, by) => {
        const x = build(s, w.atoms);
        const again = add(mul(div(x, by), by), mod(x, by));
        const valueAt = valueIn(w);
        expect(evaluateIndex(again, valueAt) + 0).toBe(evaluateIndex(x, valueAt) + 0);
      }),
      RUNS,
    );
  });

  test('substitutes', () => {
    fc.assert(
      fc.property(world, spec, spec, fc.constantFrom(...ATOMS), (w, s, t, name) => {
        // What is simplified stands on the bounds of atoms: a replacement must keep to them.
        const bounds = range(w.atoms[name]);
        const value = meaning(t, w.values);
        fc.pre(value >= bounds.min && value <= bounds.max);
        const replaced = build(t, w.atoms);
        const key = w.atoms[name].terms[0].atom.key;
        const result = substitute(build(s, w.atoms), new Map([[key, replaced]]));
        const values = { ...w.values, [name]: value };
        expect(evaluateIndex(result, valueIn(w)) + 0).toBe(meaning(s, values) + 0);
      }),
      RUNS,
    );
  });

  test('sees evenly spaced lanes', () => {
    fc.assert(
      fc.property(world, spec, (w, s) => {
        const x = build(s, w.atoms);
        const even = laneStep(x);
        const valueAt = valueIn(w);
        for (let lane = 0; lane < LANES; lane++) {
          const single = atLane(x, lane);
          expect(hasLane(single)).toBe(false);
          const value = meaning(s, { ...w.values, lane });
          expect(evaluateIndex(single, valueAt) + 0).toBe(value + 0);
          if (even) expect(evaluateIndex(even.base, valueAt) + even.step * lane).toBe(value + 0);
        }
      }),
      RUNS,
    );
  });
});

describe('bounds of indices', () => {
  test('range is a true bound', () => {
    fc.assert(
      fc.property(world, spec, (w, s) => {
        const { min, max } = range(build(s, w.atoms));
        const value = meaning(s, w.values);
        expect(value).toBeGreaterThanOrEqual(min);
        expect(value).toBeLessThanOrEqual(max);
      }),
      RUNS,
    );
  });

  test('upperBound is a true bound', () => {
    fc.assert(
      fc.property(world, fc.oneof(spec, entangled), (w, s) => {
        expect(meaning(s, w.values)).toBeLessThanOrEqual(upperBound(build(s, w.atoms)));
      }),
      RUNS,
    );
  });

  test('upperBound sees that a loop ends where a var says', () => {
    const n = varIndex(variable('n', 0, 10));
    const tail = loop(0, mod(n, 4));
    expect(upperBound(add(mul(div(n, 4), 4), tail))).toBe(9);
  });

  test('upperBound does not take one turn of a loop for another', () => {
    const i = loop(0, constant(5));
    // At the last turn 4; at turn 3 it is 18.
    expect(upperBound(add(i, mul(mod(i, 4), 5)))).toBeGreaterThanOrEqual(18);
    const j = loop(0, constant(4));
    // Falling in its first term, rising in its second: 27 at turn 3.
    expect(upperBound(sub(mul(mod(j, 3), 10), j))).toBeGreaterThanOrEqual(18);
  });

  test('those of the verifier are true', () => {
    fc.assert(
      fc.property(world, fc.oneof(spec, entangled), (w, s) => {
        const x = build(s, w.atoms);
        const value = meaning(s, w.values);
        expect(value).toBeGreaterThanOrEqual(smallest(x));
        expect(value).toBeLessThanOrEqual(largest(x));
      }),
      RUNS,
    );
  });

  test('what is proven under a mask holds where the mask does', () => {
    let proven = 0;
    fc.assert(
      fc.property(world, spec, fc.array(spec, { maxLength: 3 }), (w, s, m) => {
        const x = build(s, w.atoms);
        const mask = m.map((c) => build(c, w.atoms));
        if (!proveNonNegative(x, mask)) return;
        proven++;
        if (m.every((c) => meaning(c, w.values) >= 0)) {
          expect(meaning(s, w.values)).toBeGreaterThanOrEqual(0);
        }
      }),
      RUNS,
    );
    expect(proven).toBeGreaterThan(RUNS.numRuns / 10);
  });

  test('a row and a column, each masked, prove a place in an image', () => {
    const [row, column] = [sub(loop(0, constant(9)), 1), sub(loop(1, constant(7)), 1)];
    const mask = [row, sub(constant(6), row), column, sub(constant(4), column)];
    const place = add(mul(row, 5), column);
    expect(proveNonNegative(place, mask)).toBe(true);
    expect(proveNonNegative(sub(constant(34), place), mask)).toBe(true);
    expect(proveNonNegative(sub(constant(33), place), mask)).toBe(false);
    expect(proveNonNegative(place, mask.slice(1))).toBe(false);
  });

  test('a condition on an even number proves what its half does', () => {
    const i = loop(0, constant(4));
    const mask = [sub(mul(i, 2), 5)];
    expect(proveNonNegative(sub(mul(i, 7), 21), mask)).toBe(true);
    expect(proveNonNegative(sub(mul(i, 7), 22), mask)).toBe(false);
  });

  test('a row that is a quotient, masked, proves a place in it', () => {
    const [outer, inner] = [loop(0, constant(6)), loop(1, constant(8))];
    const place = sub(add(mul(outer, 32), inner), 4);
    const row = sub(add(mul(outer, 8), div(inner, 4)), 1);
    expect(proveNonNegative(place, [row])).toBe(true);
    expect(proveNonNegative(sub(place, 1), [row])).toBe(false);
    expect(proveNonNegative(place, [])).toBe(false);
  });
});
