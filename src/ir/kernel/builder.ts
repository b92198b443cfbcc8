import { InternalError } from '../../base/errors.ts';
import type { DType } from '../dtype.ts';
import type { Var } from '../shape.ts';
import {
  type Atom,
  add,
  atLane,
  atomIndex,
  constant,
  hasLane,
  type Index,
  type LoopAtom,
  laneAtom,
  laneStep,
  range,
  upperBound,
  visitAtoms,
} from './index-expr.ts';
import type {
  BinaryFn,
  Buffer,
  BufferRole,
  Carried,
  CarriedValue,
  CompareFn,
  Kernel,
  KernelTarget,
  Loop,
  LoopKind,
  Mask,
  PairsValue,
  ResultValue,
  Statement,
  TileStatement,
  UnaryFn,
  Value,
  ValueDType,
} from './types.ts';
import { isProvenBelow } from './value-range.ts';

/** A block under construction: its statements and the values already computed in it. */
interface OpenBlock {
  readonly statements: Statement[];
  readonly known: Map<string, Value>;
  /** Turns of the loop whose body this is. */
  readonly extent?: Index;
}

/** Distributes over unions, so that each kind of value keeps its own fields. */
type Draft<V> = V extends Value ? Omit<V, 'id' | 'depth'> : never;

/** The register type of an element in memory. */
export function valueDType(dtype: DType): ValueDType {
  switch (dtype) {
    case 'f64':
    case 'f32':
    case 'i32':
    case 'u32':
    case 'bool':
      return dtype;
    case 'f16':
    case 'bf16':
    case 'f8e4m3':
    case 'f8e5m2':
      return 'f32';
    case 'i8':
      return 'i32';
    case 'u8':
      return 'u32';
    default:
      return dtype satisfies never;
  }
}

/**
 * Builds a kernel. A pure value is placed in the outermost open block where all it depends on is
 * known, and computed once there: loop-invariant code motion and common subexpressions come from
 * the way kernels are built, not from later passes.
 */
export class KernelBuilder {
  readonly target: KernelTarget;
  /** Lanes of the kernel's vectors. */
  readonly lanes: number;
  /** The lane itself, as a part of indices. */
  readonly laneIndex: Index;
  readonly #buffers: Buffer[] = [];
  readonly #vars = new Map<string, Var>();
  readonly #locals: Buffer[] = [];
  readonly #checks: string[] = [];
  readonly #loopDepth = new Map<number, number>();
  readonly #valueDepth = new Map<number, number>();
  #blocks: OpenBlock[] = [{ statements: [], known: new Map() }];
  #nextValue = 0;
  #nextLoop = 0;
  #nextBuffer = 0;

  constructor(target: KernelTarget) {
    this.target = target;
    this.lanes = target.lanes;
    this.laneIndex = laneAtom(target.lanes);
  }

  /** Depth of the block now being filled. */
  get depth(): number {
    return this.#blocks.length - 1;
  }

  buffer(name: string, dtype: DType, size: number, role: BufferRole): Buffer {
    const buffer: Buffer = { kind: 'buffer', id: this.#nextBuffer++, name, dtype, size, role };
    (role === 'local' ? this.#locals : this.#buffers).push(buffer);
    return buffer;
  }

  /** Depth of the innermost loop that an index depends on. */
  indexDepth(index: Index): number {
    let depth = 0;
    visitAtoms(index, (atom) => {
      depth = Math.max(depth, this.#atomDepth(atom));
    });
    return depth;
  }

  #atomDepth(atom: Atom): number {
    if (atom.kind === 'loop') {
      const depth = this.#loopDepth.get(atom.id);
      if (depth === undefined) throw new InternalError(`loop ${atom.key} is not open`);
      return depth;
    }
    if (atom.kind === 'data') return this.#valueDepth.get(atom.value) ?? 0;
    if (atom.kind === 'var') this.#vars.set(atom.variable.name, atom.variable);
    return 0;
  }

  /** The same for an access; it also makes its vars known. */
  #depthOfAll(index: Index, mask: Mask): number {
    return mask.reduce((d, m) => Math.max(d, this.indexDepth(m)), this.indexDepth(index));
  }

  /** Runs `build` as if the blocks deeper than `depth` were not open: it places loops there. */
  at<T>(depth: number, build: () => T): T {
    const inner = this.#blocks;
    this.#blocks = inner.slice(0, depth + 1);
    try {
      return build();
    } finally {
      this.#blocks = inner;
    }
  }

  #place(draft: Draft<Value>, depth: number, key?: string): Value {
    const block = this.#blocks[depth];
    if (!block) throw new InternalError(`no open block at depth ${depth}`);
    if (key !== undefined) {
      const known = block.known.get(key);
      if (known) return known;
    }
    const value = { ...draft, id: this.#nextValue++, depth } as Value;
    this.#valueDepth.set(value.id, depth);
    if (key !== undefined) block.known.set(key, value);
    if (value.kind !== 'carried' && value.kind !== 'result') block.statements.push(value);
    return value;
  }

  #pure(draft: Draft<Value>, operands: readonly Value[], detail: string): Value {
    const depth = operands.reduce((d, v) => Math.max(d, v.depth), 0);
    const ids = operands.map((v) => v.id).join(',');
    return this.#place(
      draft,
      depth,
      `${draft.kind}:${draft.dtype}:${draft.lanes}:${detail}:${ids}`,
    );
  }

  const(dtype: ValueDType, value: number): Value {
    return this.#pure({ kind: 'const', dtype, lanes: 1, value }, [], literal(value));
  }

  /** The value of an index; a vector when the index has a lane. */
  index(index: Index): Value {
    if (!hasLane(index)) {
      if (index.isConstant) return this.const('i32', index.constant);
      const draft = { kind: 'index', dtype: 'i32', lanes: 1, index, step: 0 } as const;
      return this.#place(draft, this.indexDepth(index), `index:${index.key}`);
    }
    const even = laneStep(index);
    if (!even) return this.pack(this.eachLane((lane) => this.index(atLane(index, lane))));
    if (even.step === 0) return this.splat(this.index(even.base));
    const draft = {
      kind: 'index',
      dtype: 'i32',
      lanes: this.lanes,
      index: even.base,
      step: even.step,
    } as const;
    return this.#place(draft, this.indexDepth(even.base), `index:${even.base.key}:${even.step}`);
  }

  /**
   * Reads a buffer at an index; a vector when index or mask depend on the lane. Reads of `in` buffers move out
   * of loops they do not depend on; others stay where they are written.
   */
  load(buffer: Buffer, index: Index, mask: Mask = [], other = 0): Value {
    const needed = this.#needed(mask);
    if (needed === 'never') return this.const(valueDType(buffer.dtype), other);
    const perLane = needed.some(hasLane);
    if (hasLane(index) || perLane) {
      const even = laneStep(index);
      if (!even || (perLane && !this.#takesMask(needed))) {
        return this.pack(
          this.eachLane((lane) =>
            this.load(
              buffer,
              atLane(index, lane),
              needed.map((m) => atLane(m, lane)),
              other,
            ),
          ),
        );
      }
      if (even.step === 0 && !perLane)
        return this.splat(this.load(buffer, even.base, needed, other));
      return this.#load(buffer, even.base, even.step, this.lanes, needed, other);
    }
    return this.#load(buffer, index, 0, 1, needed, other);
  }

  /** Whether one access can have a mask whose answer may differ from lane to lane. */
  #takesMask(mask: Mask): boolean {
    return this.target.laneMasks && mask.every((m) => laneStep(m) !== undefined);
  }

  /** The mask without what is always true; 'never' when something is always false. */
  #needed(mask: Mask): Index[] | 'never' {
    if (mask.some((m) => upperBound(m) < 0)) return 'never';
    const open = mask.filter((m) => range(m).min < 0);
    return [...new Map(open.map((m) => [m.key, m])).values()];
  }

  #load(buffer: Buffer, index: Index, step: number, lanes: number, mask: Mask, other: number) {
    const dtype = valueDType(buffer.dtype);
    const draft = { kind: 'load', dtype, lanes, buffer, index, step, mask, other } as const;
    const depth = this.#depthOfAll(index, mask);
    if (buffer.role !== 'in') return this.#place(draft, this.depth);
    const masks = mask.map((m) => m.key).join('&');
    return this.#place(
      draft,
      depth,
      `load:${buffer.id}:${index.key}:${step}:${lanes}:${masks}:${literal(other)}`,
    );
  }

  /** A vector of the bytes from an element on, four to a lane. */
  words(buffer: Buffer, index: Index): Value {
    const draft = { kind: 'words', dtype: 'i32', lanes: this.lanes, buffer, index } as const;
    const depth = this.#depthOfAll(index, []);
    if (buffer.role !== 'in') return this.#place(draft, this.depth);
    return this.#place(draft, depth, `words:${buffer.id}:${index.key}`);
  }

  /** Makes both operands vectors when one of them is. */
  #level(...values: Value[]): Value[] {
    const lanes = values.reduce((n, v) => Math.max(n, v.lanes), 1);
    return values.map((v) => (v.lanes === lanes ? v : this.splat(v)));
  }

  unary(fn: UnaryFn, a: Value): Value {
    return this.#pure({ kind: 'unary', dtype: a.dtype, lanes: a.lanes, fn, a }, [a], fn);
  }

  binary(fn: BinaryFn, x: Value, y: Value): Value {
    const [a, b] = this.#level(x, y);
    if (a.dtype !== b.dtype) throw new InternalError(`${fn} of ${a.dtype} and ${b.dtype}`);
    return this.#pure({ kind: 'binary', dtype: a.dtype, lanes: a.lanes, fn, a, b }, [a, b], fn);
  }

  compare(fn: CompareFn, x: Value, y: Value): Value {
    const [a, b] = this.#level(x, y);
    if (a.dtype !== b.dtype) throw new InternalError(`${fn} of ${a.dtype} and ${b.dtype}`);
    return this.#pure({ kind: 'compare', dtype: 'bool', lanes: a.lanes, fn, a, b }, [a, b], fn);
  }

  select(cond: Value, x: Value, y: Value): Value {
    const [condition, a, b] = this.#level(cond, x, y);
    const draft = { kind: 'select', dtype: a.dtype, lanes: a.lanes, condition, a, b } as const;
    return this.#pure(draft, [condition, a, b], '');
  }

  fma(x: Value, y: Value, z: Value): Value {
    const [a, b, c] = this.#level(x, y, z);
    return this.#pure({ kind: 'fma', dtype: c.dtype, lanes: c.lanes, a, b, c }, [a, b, c], '');
  }

  /** See `ByteDotValue`: vectors of words, as many of `a` as of `b`; sums begin with `start`, or 0. */
  byteDot(a: readonly Value[], b: readonly Value[], from?: Value): Value {
    const start = from ?? this.splat(this.const('i32', 0));
    const draft = { kind: 'byteDot', dtype: 'i32', lanes: this.lanes, a, b, start } as const;
    return this.#pure(draft, [...a, ...b, start], '');
  }

  /** See `PairsValue`: a vector of words of two vectors of floats. */
  pairs(order: PairsValue['order'], a: Value, b: Value): Value {
    const whole = order === 'along' ? this.#wholeWords(a, b) : undefined;
    if (whole) return whole;
    const draft = { kind: 'pairs', dtype: 'i32', lanes: this.lanes, order, a, b } as const;
    return this.#pure(draft, [a, b], order);
  }

  /** Neighbours in memory are words as they lie. Their subnormal elements stay: products flush them. */
  #wholeWords(a: Value, b: Value): Value | undefined {
    const isPlain = (x: Value) =>
      x.kind === 'load' && x.buffer.dtype === 'bf16' && x.step === 1 && x.mask.length === 0;
    if (a.kind !== 'load' || b.kind !== 'load' || !isPlain(a) || !isPlain(b)) return undefined;
    if (a.buffer !== b.buffer || a.buffer.role !== 'in') return undefined;
    if (add(a.index, this.lanes).key !== b.index.key) return undefined;
    return this.words(a.buffer, a.index);
  }

  /** See `PairDotValue`: vectors of words, and sums. */
  pairDot(a: Value, b: Value, c: Value): Value {
    const draft = { kind: 'pairDot', dtype: 'f32', lanes: this.lanes, a, b, c } as const;
    return this.#pure(draft, [a, b, c], '');
  }

  convert(a: Value, dtype: ValueDType): Value {
    if (a.dtype === dtype) return a;
    return this.#pure({ kind: 'convert', dtype, lanes: a.lanes, a }, [a], '');
  }

  bitcast(a: Value, dtype: ValueDType): Value {
    if (a.dtype === dtype) return a;
    return this.#pure({ kind: 'bitcast', dtype, lanes: a.lanes, a }, [a], '');
  }

  splat(a: Value): Value {
    if (a.lanes !== 1) return a;
    return this.#pure({ kind: 'splat', dtype: a.dtype, lanes: this.lanes, a }, [a], '');
  }

  pack(items: readonly Value[]): Value {
    if (items.every((item) => item === items[0])) return this.splat(items[0]);
    return this.#pure({ kind: 'pack', dtype: items[0].dtype, lanes: this.lanes, items }, items, '');
  }

  /** Lanes of two vectors: numbers from `lanes` on are those of the second. */
  shuffle(a: Value, b: Value, places: readonly number[]): Value {
    const draft = { kind: 'shuffle', dtype: a.dtype, lanes: this.lanes, a, b, places } as const;
    return this.#pure(draft, [a, b], places.join(' '));
  }

  lane(a: Value, lane: number): Value {
    if (a.lanes === 1) return a;
    return this.#pure({ kind: 'lane', dtype: a.dtype, lanes: 1, a, lane }, [a], String(lane));
  }

  /**
   * A data-dependent index in 0 .. size - 1; `what` names it in the RangeError. One that is limited
   * to that range before needs no check, and cannot fail.
   */
  checked(a: Value, size: number, what: string): Index {
    if (a.lanes !== 1 || a.dtype !== 'i32') throw new InternalError('checked takes a single i32');
    const check = isProvenBelow(a, size) ? undefined : this.#checkNumber(what);
    const draft = { kind: 'checked', dtype: 'i32', lanes: 1, a, size, check } as const;
    // Not outside a loop that may have no turns: nobody would use the index it complains of.
    const depth = check === undefined ? a.depth : Math.max(a.depth, this.#lastUncertainLoop());
    const value = this.#place(draft, depth, `checked:${size}:${check}:${a.id}`);
    return atomIndex({ kind: 'data', value: value.id, size, key: `data${value.id}` });
  }

  #checkNumber(what: string): number {
    const known = this.#checks.indexOf(what);
    return known < 0 ? this.#checks.push(what) - 1 : known;
  }

  /** Depth of the innermost open loop that may have no turns. */
  #lastUncertainLoop(): number {
    let depth = 0;
    this.#blocks.forEach((block, d) => {
      if (block.extent && range(block.extent).min < 1) depth = d;
    });
    return depth;
  }

  store(buffer: Buffer, index: Index, value: Value, mask: Mask = [], streams = false): void {
    const needed = this.#needed(mask);
    if (needed === 'never') return;
    this.#depthOfAll(index, needed);
    const oneByOne = needed.some(hasLane) && !(hasLane(index) && this.#takesMask(needed));
    if (oneByOne || (hasLane(index) && laneStep(index)?.step !== 1)) {
      for (let lane = 0; lane < this.lanes; lane++) {
        const single = this.lane(value, lane);
        this.store(
          buffer,
          atLane(index, lane),
          single,
          needed.map((m) => atLane(m, lane)),
        );
      }
      return;
    }
    const at = hasLane(index) ? atLane(index, 0) : index;
    const stored = hasLane(index) ? this.splat(value) : value;
    this.#blocks[this.depth].statements.push({
      kind: 'store',
      buffer,
      index: at,
      value: stored,
      mask: needed,
      ...(streams && this.target.hints ? { streams } : {}),
    });
  }

  /** Tells processors that listen that an element will be needed soon. */
  prefetch(buffer: Buffer, index: Index): void {
    if (!this.target.hints) return;
    this.#depthOfAll(index, []);
    this.#blocks[this.depth].statements.push({ kind: 'prefetch', buffer, index });
  }

  /** Something that tiles do, here. */
  tile(statement: TileStatement): void {
    if ('index' in statement) this.#depthOfAll(statement.index, []);
    this.#blocks[this.depth].statements.push(statement);
  }

  /**
   * A loop of 0 .. extent - 1 whose body may carry values from turn to turn: it gets them and
   * returns the next ones; the results come after the last turn. No turns: the initial values.
   */
  loop(
    extent: Index | number,
    loopKind: LoopKind,
    inits: readonly Value[],
    // biome-ignore lint/suspicious/noConfusingVoidType: a body that carries nothing returns nothing
    body: (i: Index, carried: readonly Value[]) => readonly Value[] | void,
  ): Value[] {
    const count = typeof extent === 'number' ? constant(extent) : extent;
    if (count.isConstant && count.constant <= 0) return [...inits];
    this.indexDepth(count);
    const outer = this.#blocks;
    const id = this.#nextLoop++;
    const atom: LoopAtom = { kind: 'loop', id, extent: count, key: `i${id}` };
    const depth = this.depth + 1;
    this.#blocks = [...outer, { statements: [], known: new Map(), extent: count }];
    this.#loopDepth.set(id, depth);
    const inside = inits.map((v) =>
      this.#place({ kind: 'carried', dtype: v.dtype, lanes: v.lanes }, depth),
    ) as CarriedValue[];
    const next = body(atomIndex(atom), inside) ?? [];
    const { statements } = this.#blocks[depth];
    this.#blocks = outer;
    this.#loopDepth.delete(id);
    if (next.length !== inits.length) throw new InternalError('a loop must return all it carries');
    const carried: Carried[] = inits.map((init, i) => {
      const { dtype, lanes } = init;
      const result = this.#place({ kind: 'result', dtype, lanes }, depth - 1) as ResultValue;
      return { init, inside: inside[i], next: this.#levelTo(next[i], lanes), result };
    });
    const loop: Loop = { kind: 'loop', atom, loopKind, carried, body: statements };
    this.#blocks[depth - 1].statements.push(loop);
    return carried.map((c) => c.result);
  }

  #levelTo(value: Value, lanes: number): Value {
    if (value.lanes !== lanes) throw new InternalError('a carried value changed its lanes');
    return value;
  }

  /** One thing for each lane, from the first on. */
  eachLane<T>(make: (lane: number) => T): T[] {
    return Array.from({ length: this.lanes }, (_, lane) => make(lane));
  }

  build(name: string): Kernel {
    if (this.#blocks.length !== 1) throw new InternalError('a loop is still open');
    return {
      name,
      lanes: this.lanes,
      buffers: this.#buffers,
      vars: [...this.#vars.values()],
      locals: this.#locals,
      checks: this.#checks,
      body: this.#blocks[0].statements,
    };
  }
}

function literal(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}
