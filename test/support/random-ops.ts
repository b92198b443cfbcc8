import * as fc from 'fast-check';
import { DTYPES } from '../../src/ir/dtype.ts';
import { KernelBuilder, valueDType } from '../../src/ir/kernel/builder.ts';
import {
  add,
  constant,
  div,
  hasLane,
  type Index,
  mod,
  mul,
  range,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import type { Buffer, Kernel, KernelTarget, Value, ValueDType } from '../../src/ir/kernel/types.ts';
import { variable } from '../../src/ir/shape.ts';
import {
  BINARY,
  COMPARE,
  CONSTANTS,
  DEEPEST,
  DIVISORS,
  KINDS,
  LARGE,
  LIMIT,
  MASK_STEPS,
  OWN,
  ROOM,
  STEPS,
  STORED,
  TYPES,
  type Type,
  UNARY,
} from './ops-tables.ts';
import { RandomTiles } from './random-tiles.ts';
import { shufflePlaces } from './shuffle-places.ts';

/**
 * Kernels out of single operations in any order: a line of steps, each of which takes what it needs
 * from the values that there are. So every kind of value meets every other: bools and vectors that
 * loops carry, nests, accesses under masks of lanes, bytes, checked indices, more values than registers.
 */
export interface OpsRecipe {
  readonly steps: readonly OpsStep[];
  /** All of it is the body of one loop whose turns threads share. */
  readonly parallel: boolean;
  readonly seed: number;
}

export interface OpsStep {
  readonly op: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const natural = fc.nat({ max: 9999 });

/** @param most steps of a kernel */
export function anyOpsRecipe(most: number): fc.Arbitrary<OpsRecipe> {
  return fc.record({
    steps: fc.array(fc.record({ op: natural, a: natural, b: natural, c: natural }), {
      minLength: 1,
      maxLength: most,
      size: 'max',
    }),
    parallel: fc.boolean(),
    seed: natural,
  });
}

class OpsBuilder {
  readonly #b: KernelBuilder;
  readonly #recipe: OpsRecipe;
  #next = 0;
  #values: Value[] = [];
  #indices: Index[];
  readonly #inputs: readonly Buffer[];
  /** What steps may write: arrays for outputs and locals, or a part of one output of a parallel turn. */
  #outputs: readonly Buffer[] = [];
  #base: Index = ZERO;
  #turn: Index = ZERO;
  #turns = 1;
  readonly #tiles: RandomTiles;
  readonly #names = new Map<string, number>();

  constructor(recipe: OpsRecipe, target: KernelTarget) {
    const b = new KernelBuilder(target);
    this.#b = b;
    this.#recipe = recipe;
    this.#tiles = new RandomTiles(b);
    const size = ROOM + 3 * b.lanes + (recipe.seed % 7);
    this.#inputs = STORED.map((dtype) => b.buffer(`in ${dtype}`, dtype, size, 'in'));
    const vars = [variable('n', 0, 3), variable('m', 1, 9)].map((v) => varIndex(v));
    this.#indices = [constant(recipe.seed % 11), ...vars];
    if (recipe.parallel) return;
    this.#outputs = [
      ...STORED.map((dtype) => b.buffer(`out ${dtype}`, dtype, size, 'out')),
      ...STORED.map((dtype) => b.buffer(`local ${dtype}`, dtype, size, 'local')),
    ];
  }

  build(): Kernel {
    const { parallel, seed } = this.#recipe;
    const b = this.#b;
    if (!parallel) {
      this.#clearLocals();
      this.#block();
      this.#dump(ZERO, 1);
      return b.build('ops');
    }
    const turns = 1 + (seed % 9);
    this.#turns = turns;
    const size = OWN * b.lanes;
    const own = STORED.map((dtype) => b.buffer(`own ${dtype}`, dtype, turns * size, 'out'));
    b.loop(turns, 'thread', [], (turn) => {
      this.#indices.push(turn);
      this.#outputs = own;
      this.#base = mul(turn, size);
      this.#turn = turn;
      // What other turns leave is not to be seen.
      for (const buffer of own) {
        for (let v = 0; v < OWN; v++) {
          const at = add(add(this.#base, v * b.lanes), b.laneIndex);
          b.store(buffer, at, b.splat(b.const(valueDType(buffer.dtype), v % 2)));
        }
      }
      this.#block();
      this.#dump(turn, turns);
    });
    return b.build('ops_parallel');
  }

  #clearLocals(): void {
    const b = this.#b;
    for (const buffer of this.#outputs) {
      if (buffer.role !== 'local') continue;
      const one = b.const(valueDType(buffer.dtype), 1);
      b.loop(buffer.size, 'serial', [], (i) => b.store(buffer, i, one));
    }
  }

  /** Steps up to the end of the block that is open. */
  #block(): void {
    const { steps } = this.#recipe;
    while (this.#next < steps.length) {
      const step = steps[this.#next++];
      const kind = KINDS[step.op % KINDS.length];
      if (kind === 'end') {
        if (this.#b.depth > (this.#recipe.parallel ? 1 : 0)) return;
      } else if (kind === 'loop') this.#loop(step);
      else this.#step(kind, step);
    }
  }

  #loop({ a, b: second, c }: OpsStep): void {
    const b = this.#b;
    if (b.depth >= DEEPEST) return;
    const [n, m] = [this.#indices[1], this.#indices[2]];
    const extents = [constant(1), constant(2), constant(3), n, div(m, 3), constant(2)];
    const inits = [a, second, c, a + second].slice(0, c % 5).map((k) => this.#any(k));
    const [values, indices, tiles] = [this.#values, this.#indices, this.#tiles.held];
    const kind = c % 2 === 0 ? 'serial' : 'reduce';
    const results = b.loop(extents[a % extents.length], kind, inits, (i, carried) => {
      this.#values = [...values, ...carried];
      this.#indices = [...indices, i];
      this.#block();
      return inits.map((init, k) => this.#like(init, a + k * second));
    });
    this.#values = [...values, ...results];
    this.#indices = indices;
    // What is first put there inside is not for use behind it.
    this.#tiles.held = tiles;
  }

  #step(kind: Exclude<(typeof KINDS)[number], 'loop' | 'end'>, step: OpsStep): void {
    const made = this.#make(kind, step);
    if (made) this.#values.push(made);
  }

  #make(
    kind: Exclude<(typeof KINDS)[number], 'loop' | 'end'>,
    { a, b: second, c }: OpsStep,
  ): Value | undefined {
    const b = this.#b;
    const { lanes } = b;
    switch (kind) {
      case 'const': {
        const type = TYPES[a % TYPES.length];
        const value = b.const(type, CONSTANTS[type][second % CONSTANTS[type].length]);
        return c % 2 === 0 ? value : b.splat(value);
      }
      case 'index':
        return b.index(add(this.#anyIndex(a, second), mul(b.laneIndex, STEPS[c % STEPS.length])));
      case 'load':
        return this.#load(this.#inputs[a % STORED.length], second, c);
      case 'reload':
        return this.#load(this.#outputs[a % this.#outputs.length], second, c);
      case 'masked': {
        const buffer = this.#inputs[a % STORED.length];
        const { at, mask } = this.#maskedAt(buffer.size, second, STEPS[c % STEPS.length]);
        return b.load(buffer, at, mask, c % 2);
      }
      case 'store':
      case 'storeMasked':
        this.#store(kind === 'storeMasked', a, second, c);
        return undefined;
      case 'unary': {
        const x = this.#any(a);
        const fns = UNARY[x.dtype as Type];
        return b.unary(fns[second % fns.length], x);
      }
      case 'binary': {
        const x = this.#any(a);
        const fns = BINARY[x.dtype as Type];
        return b.binary(fns[c % fns.length], x, this.#of(x.dtype, second));
      }
      case 'compare': {
        const x = this.#any(a);
        const fn = COMPARE[c % (x.dtype === 'bool' ? 2 : 4)];
        return b.compare(fn, x, this.#of(x.dtype, second));
      }
      case 'select': {
        const x = this.#any(a);
        return b.select(this.#of('bool', second), x, this.#of(x.dtype, c));
      }
      case 'fma':
        return b.fma(this.#of('f32', a), this.#of('f32', second), this.#of('f32', c));
      case 'convert':
        return b.convert(this.#any(a), TYPES[second % TYPES.length]);
      case 'bitcast': {
        const x = this.#any(a);
        if (x.dtype === 'bool') return undefined;
        return b.bitcast(this.#withoutNaN(x), (['i32', 'u32', 'f32'] as const)[second % 3]);
      }
      case 'splat':
        return b.splat(this.#any(a));
      case 'pack': {
        const type = TYPES[a % TYPES.length];
        const items = b.eachLane((l) => this.#single(this.#of(type, second + l * c), l));
        return b.pack(items);
      }
      case 'shuffle': {
        const x = this.#wide(this.#any(a));
        const y = this.#wide(this.#of(x.dtype, second));
        return b.shuffle(x, y, shufflePlaces(lanes, c));
      }
      case 'lane':
        return b.lane(this.#any(a), second % lanes);
      case 'words':
        return this.#words(a, second);
      case 'byteDot':
        return this.#byteDot(a, second, c);
      case 'prefetch':
        b.prefetch(this.#inputs[a % STORED.length], this.#index(second, c));
        return undefined;
      case 'pairs': {
        if (b.target.bf16 === undefined) return undefined;
        const [x, y] = [a, second].map((k) => this.#withoutNaN(this.#wide(this.#of('f32', k))));
        return b.pairs(c % 2 === 0 ? 'across' : 'along', x, y);
      }
      case 'pairDot': {
        if (b.target.bf16 === undefined) return undefined;
        const [x, y] = [a, second].map((k) => this.#wide(this.#of('i32', k)));
        return b.pairDot(x, y, this.#wide(this.#of('f32', c)));
      }
      case 'tile':
        this.#tiles.step(a, second, c, {
          input: (dtype) => this.#inputs[STORED.indexOf(dtype as (typeof STORED)[number])],
          at: (size, span) => within(this.#index(a, second), size, span),
          turn: this.#turn,
          turns: this.#turns,
        });
        return undefined;
      case 'checked': {
        const size = 1 + (c % 9);
        const x = this.#single(this.#of('i32', a), second % lanes);
        const limited = b.binary('rem', x, b.const('i32', size));
        const value = c % 3 === 0 ? x : b.unary('abs', limited);
        this.#indices = [...this.#indices, b.checked(value, size, `check ${size}`)];
        return undefined;
      }
      default:
        return kind satisfies never;
    }
  }

  #byteDot(a: number, second: number, c: number): Value {
    const b = this.#b;
    const count = 1 + (c % 3);
    const masks = b.target.wideByteDot ? [-1, 0x7fff00ff] : [0x1f1f1f1f, 0x0f00011f];
    const pairs = Array.from({ length: count }, (_, i) => {
      const y = this.#wide(this.#of('i32', second + i));
      return [
        i % 2 === c % 2 ? this.#words(a + i, second) : this.#wide(this.#of('i32', a + i)),
        b.binary('and', y, b.splat(b.const('i32', masks[(second + i) % 2]))),
      ] as const;
    });
    return b.byteDot(
      pairs.map(([x]) => x),
      pairs.map(([, y]) => y),
    );
  }

  #words(a: number, second: number): Value {
    const buffer = this.#inputs[STORED.indexOf((['i8', 'u8', 'bf16'] as const)[a % 3])];
    const { lanes } = this.#b;
    const elements = (4 * lanes) / DTYPES[buffer.dtype].bytes;
    return this.#b.words(buffer, within(this.#index(a, second), buffer.size, elements));
  }

  #load(buffer: Buffer, second: number, c: number): Value {
    const b = this.#b;
    const step = STEPS[c % STEPS.length];
    const size = this.#sizeOf(buffer);
    const wide = c % 4 !== 0;
    const reach = wide ? Math.abs(step) * (b.lanes - 1) + 1 : 1;
    // A step may be too long for what a turn has of its own.
    const used = reach > size ? 1 : step;
    const span = wide ? Math.abs(used) * (b.lanes - 1) + 1 : 1;
    const first = within(this.#index(second, c), size, span);
    const low = used < 0 && wide ? add(first, span - 1) : first;
    const at = add(this.#baseOf(buffer), low);
    return b.load(buffer, wide ? add(at, mul(b.laneIndex, used)) : at);
  }

  #store(masked: boolean, a: number, second: number, c: number): void {
    const b = this.#b;
    const buffer = this.#outputs[a % this.#outputs.length];
    const value = this.#of(valueDType(buffer.dtype), second);
    const size = this.#sizeOf(buffer);
    const base = this.#baseOf(buffer);
    if (masked) {
      const { at, mask } = this.#maskedAt(size, c, value.lanes === 1 ? 0 : 1);
      if (value.lanes === 1) {
        const single = mask.filter((m) => !hasLane(m));
        b.store(buffer, add(base, at), value, single);
        return;
      }
      b.store(buffer, add(base, at), value, mask);
      return;
    }
    const first = within(this.#index(c, second), size, value.lanes);
    const at = add(base, first);
    // What goes past the caches must fill a line of them: half of these begin at one.
    const line = c % 4 < 2 ? at : add(base, mul(div(first, b.lanes), b.lanes));
    b.store(buffer, value.lanes === 1 ? at : add(line, b.laneIndex), value, [], c % 2 === 0);
  }

  /** Addresses that may lie outside, with a mask that keeps them inside and others at random. */
  #maskedAt(size: number, a: number, step: number): { at: Index; mask: Index[] } {
    const { laneIndex } = this.#b;
    const first = sub(this.#index(a, a >> 3), 5);
    const at = add(first, mul(laneIndex, step));
    const mask = [at, sub(constant(size - 1), at)];
    if (a % 3 === 0) {
      const own = MASK_STEPS[(a >> 4) % MASK_STEPS.length];
      mask.push(add(sub(this.#index(a >> 2, a), 2), mul(laneIndex, own)));
    }
    return { at, mask };
  }

  #sizeOf(buffer: Buffer): number {
    return buffer.name.startsWith('own') ? OWN * this.#b.lanes : buffer.size;
  }

  #baseOf(buffer: Buffer): Index {
    return buffer.name.startsWith('own') ? this.#base : ZERO;
  }

  /** An index of what is known: a sum, now and then divided or its remainder. */
  #index(a: number, b: number): Index {
    const pick = (k: number) => this.#indices[k % this.#indices.length];
    const sum = add(
      mul(pick(a), [1, 1, 2, 3, -1, 7][a % 6]),
      mul(pick(b), [0, 1, 0, -2, 5][b % 5]),
    );
    const moved = add(sum, (a % 9) - 2);
    if (b % 7 === 0) return div(moved, 1 + (a % 6));
    return b % 7 === 1 ? mod(moved, 2 + (a % 13)) : moved;
  }

  /** One that addresses nothing: it may be large, and be divided by anything. */
  #anyIndex(a: number, b: number): Index {
    const index = this.#index(a, b);
    if (a % 2 === 0) return index;
    const large = add(mul(index, LARGE[b % LARGE.length]), (a - 5000) * LARGE[a % LARGE.length]);
    const by = DIVISORS[(a >> 2) % DIVISORS.length];
    const part = b % 2 === 0 ? div(large, by) : mod(large, by);
    // Values are i32.
    const { min, max } = range(part);
    return min > -LIMIT && max < LIMIT ? part : mod(part, LIMIT);
  }

  /** Any value, the latest rather than others. */
  #any(k: number): Value {
    const count = this.#values.length;
    if (count === 0) return this.#b.const(TYPES[k % 4], 1);
    return this.#values[count - 1 - (k % 2 === 0 ? k % Math.min(4, count) : k % count)];
  }

  /** A value of a type; what there is not is converted. */
  #of(dtype: ValueDType, k: number): Value {
    const found = this.#values.filter((v) => v.dtype === dtype);
    if (found.length > 0) return found[found.length - 1 - (k % found.length)];
    return this.#b.convert(this.#any(k), dtype);
  }

  /** A value of the type and the lanes of another. */
  #like(value: Value, k: number): Value {
    const found = this.#values.filter(
      (v) => v.dtype === value.dtype && v.lanes === value.lanes && v.kind !== 'const',
    );
    return found.length === 0 ? value : found[found.length - 1 - (k % found.length)];
  }

  #wide(value: Value): Value {
    return this.#b.splat(value);
  }

  #single(value: Value, lane: number): Value {
    return this.#b.lane(value, lane % this.#b.lanes);
  }

  /** The bits of a NaN are nobody's business. */
  #withoutNaN(value: Value): Value {
    if (value.dtype !== 'f32') return value;
    const b = this.#b;
    return b.select(b.compare('eq', value, value), value, b.const('f32', -1));
  }

  /** Stores all that is known, so that all of it lives up to here. */
  #dump(turn: Index, turns: number): void {
    const b = this.#b;
    for (const type of TYPES) {
      const values = this.#values.filter((v) => v.dtype === type);
      if (values.length === 0) continue;
      const size = values.length * b.lanes;
      const name = `dump ${type}`;
      if (this.#names.has(name)) continue;
      this.#names.set(name, size);
      const buffer = b.buffer(name, type, size * turns, 'out');
      const base = mul(turn, size);
      values.forEach((value, i) => {
        const at = add(base, i * b.lanes);
        b.store(buffer, add(at, b.laneIndex), this.#wide(value));
      });
    }
  }
}

/** An index within the first elements of `size` at which `span` of them begin. */
function within(index: Index, size: number, span: number): Index {
  const { min, max } = range(index);
  return min >= 0 && max <= size - span ? index : mod(index, size - span + 1);
}

export function buildOps(recipe: OpsRecipe, target: KernelTarget): Kernel {
  return new OpsBuilder(recipe, target).build();
}
