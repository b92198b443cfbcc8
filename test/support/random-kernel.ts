import fc from 'fast-check';
import { arrayClass, type DType, type TypedArray } from '../../src/ir/dtype.ts';
import { decodeFloat, encodeFloat, isSmallFloat } from '../../src/ir/float-formats.ts';
import { KernelBuilder, valueDType } from '../../src/ir/kernel/builder.ts';
import {
  add,
  atLane,
  constant,
  div,
  hasLane,
  type Index,
  mod,
  mul,
  sub,
  varIndex,
  ZERO,
} from '../../src/ir/kernel/index-expr.ts';
import {
  type BinaryFn,
  type Buffer,
  type CompareFn,
  type Kernel,
  type KernelTarget,
  type UnaryFn,
  type Value,
  WASM_KERNELS,
} from '../../src/ir/kernel/types.ts';
import { type Dim, maxDim, type Var, variable } from '../../src/ir/shape.ts';

/**
 * Random computations over rows x columns, each of which can be built as a kernel in several forms
 * that must give the same bits. Emitters run the same kernels against the interpreter.
 */
export type Form =
  /** One element at a time. */
  | 'scalar'
  /** Whole vectors, then a loop over the columns left over. */
  | 'vector'
  /** Vectors only; the last one masked. */
  | 'masked';

export type ComputeType = 'f32' | 'f64' | 'i32' | 'u32';

/** How an input is addressed by row, column and turn of the reduction. */
export type Access =
  | {
      readonly kind: 'linear';
      readonly row: number;
      readonly column: number;
      readonly turn: number;
      /** The buffer ends early on both sides, and a mask keeps reads inside. */
      readonly padded: boolean;
      readonly other: number;
    }
  | { readonly kind: 'wrapped'; readonly by: number; readonly size: number }
  /** Through an index that is data, of which some may be outside. */
  | { readonly kind: 'gathered'; readonly size: number; readonly wrong: boolean };

export interface Input {
  readonly dtype: DType;
  readonly access: Access;
}

export type Expression =
  | { readonly op: 'load'; readonly input: number }
  | { readonly op: 'const'; readonly value: number }
  | { readonly op: 'index'; readonly row: number; readonly column: number }
  | { readonly op: 'unary'; readonly fn: UnaryFn; readonly a: Expression }
  | { readonly op: 'binary'; readonly fn: BinaryFn; readonly a: Expression; readonly b: Expression }
  | { readonly op: 'through'; readonly dtype: ComputeType | 'bool'; readonly a: Expression }
  | { readonly op: 'fma'; readonly a: Expression; readonly b: Expression; readonly c: Expression }
  | {
      readonly op: 'select';
      readonly fn: CompareFn;
      readonly negated: boolean;
      readonly a: Expression;
      readonly b: Expression;
    };

export interface Recipe {
  readonly type: ComputeType;
  readonly rows: Dim;
  readonly columns: Dim;
  /** Turns of the reduction; 0 for none. */
  readonly turns: number;
  readonly reduce: 'add' | 'max' | 'swap';
  readonly inputs: readonly Input[];
  readonly expression: Expression;
  readonly output: DType;
  /** Columns go through a local buffer before they are stored. */
  readonly staged: boolean;
  readonly threads: boolean;
  /** Of the data, and of the values of vars. */
  readonly seed: number;
}

const FLOAT_UNARY = ['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'nearest'] as const;
const INT_UNARY = ['neg', 'abs', 'not'] as const;
const FLOAT_BINARY = ['add', 'sub', 'mul', 'div', 'rem', 'min', 'max'] as const;
const INT_BINARY = [...FLOAT_BINARY, 'and', 'or', 'xor', 'shl', 'shr'] as const;
const DTYPES_OF: { readonly [T in ComputeType]: readonly DType[] } = {
  f32: ['f32', 'f16', 'bf16', 'f8e4m3', 'f8e5m2', 'i8', 'bool'],
  f64: ['f64', 'f32', 'i32'],
  i32: ['i32', 'i8', 'u8', 'bool'],
  u32: ['u32', 'u8', 'bool'],
};
const CONSTANTS: { readonly [T in ComputeType]: readonly number[] } = {
  f32: [0, -0, 1, -1, 0.5, -2.5, 1e30, -3.4e38, 1e-40, Infinity, -Infinity, Number.NaN, 16777217],
  f64: [0, -0, 1, -1, 0.5, 1.5, -2.5, 1e300, 5e-324, Infinity, -Infinity, Number.NaN, 0.1],
  i32: [0, 1, -1, 2, 3, 7, -5, 31, 32, 2 ** 31 - 1, -(2 ** 31), 65537],
  u32: [0, 1, 2, 3, 7, 31, 32, 33, 2 ** 31, 2 ** 32 - 1, 65537],
};

function isFloat(type: ComputeType): boolean {
  return type === 'f32' || type === 'f64';
}

function expression(type: ComputeType, inputs: number): fc.Arbitrary<Expression> {
  const leaves: fc.Arbitrary<Expression>[] = [
    fc.record({ op: fc.constant('const' as const), value: fc.constantFrom(...CONSTANTS[type]) }),
    fc.record({
      op: fc.constant('index' as const),
      row: fc.integer({ min: -2, max: 3 }),
      column: fc.integer({ min: -2, max: 3 }),
    }),
  ];
  const load: fc.Arbitrary<Expression> = fc.record({
    op: fc.constant('load' as const),
    input: fc.nat(inputs - 1),
  });
  const { tree } = fc.letrec<{ tree: Expression }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      load,
      ...leaves,
      load,
      fc.record({
        op: fc.constant('unary' as const),
        fn: fc.constantFrom<UnaryFn[]>(...(isFloat(type) ? FLOAT_UNARY : INT_UNARY)),
        a: tie('tree'),
      }),
      fc.record({
        op: fc.constant('binary' as const),
        fn: fc.constantFrom<BinaryFn[]>(...(isFloat(type) ? FLOAT_BINARY : INT_BINARY)),
        a: tie('tree'),
        b: tie('tree'),
      }),
      fc.record({
        op: fc.constant('through' as const),
        dtype: fc.constantFrom<(ComputeType | 'bool')[]>('f32', 'f64', 'i32', 'u32', 'bool'),
        a: tie('tree'),
      }),
      fc.record({
        op: fc.constant('fma' as const),
        a: tie('tree'),
        b: tie('tree'),
        c: tie('tree'),
      }),
      fc.record({
        op: fc.constant('select' as const),
        fn: fc.constantFrom<CompareFn[]>('eq', 'ne', 'lt', 'le'),
        negated: fc.boolean(),
        a: tie('tree'),
        b: tie('tree'),
      }),
    ),
  }));
  return tree;
}

const access: fc.Arbitrary<Access> = fc.oneof(
  { weight: 4, arbitrary: linear() },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('wrapped' as const),
      by: fc.integer({ min: 1, max: 5 }),
      size: fc.integer({ min: 1, max: 9 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('gathered' as const),
      size: fc.integer({ min: 1, max: 9 }),
      wrong: fc.boolean(),
    }),
  },
);

function linear(): fc.Arbitrary<Access> {
  return fc.record({
    kind: fc.constant('linear' as const),
    row: fc.constantFrom(0, 1, 7, 12, -5),
    column: fc.constantFrom(0, 1, 1, 1, 2, 3, -1, -2),
    turn: fc.constantFrom(0, 1, 4, -1),
    padded: fc.boolean(),
    other: fc.constantFrom(0, 1),
  });
}

function size(name: string, max: number): fc.Arbitrary<Dim> {
  return fc.oneof(
    fc.integer({ min: 1, max }),
    fc
      .tuple(fc.integer({ min: 0, max }), fc.integer({ min: 0, max }))
      .map(([a, b]) => variable(name, Math.min(a, b), Math.max(a, b, 1))),
  );
}

/** Any recipe; `types` limits what it computes in, `columns` how many elements a row has. */
export function anyRecipe(
  types: readonly ComputeType[] = ['f32', 'f64', 'i32', 'u32'],
  columns = 11,
): fc.Arbitrary<Recipe> {
  return fc.constantFrom(...types).chain((type) =>
    fc.integer({ min: 1, max: 3 }).chain((inputs) =>
      fc.record({
        type: fc.constant(type),
        rows: size('rows', 3),
        columns: size('columns', columns),
        turns: fc.constantFrom(0, 0, 1, 3),
        reduce: fc.constantFrom<('add' | 'max' | 'swap')[]>('add', 'max', 'swap'),
        inputs: fc.array(fc.record({ dtype: fc.constantFrom(...DTYPES_OF[type]), access }), {
          minLength: inputs,
          maxLength: inputs,
        }),
        expression: expression(type, inputs),
        output: fc.constantFrom(...DTYPES_OF[type]),
        staged: fc.boolean(),
        threads: fc.boolean(),
        seed: fc.nat(),
      }),
    ),
  );
}

/** Where one element is computed. */
interface Place {
  readonly row: Index;
  readonly column: Index;
  readonly turn: Index;
  /** Of the column alone; empty where it is inside anyway. */
  readonly mask: readonly Index[];
}

/** Sizes that both the building of a kernel and the making of its data need. */
interface Extent {
  readonly offset: number;
  readonly size: number;
}

function extentOf(recipe: Recipe, input: Input): Extent {
  if (input.access.kind !== 'linear') return { offset: 0, size: input.access.size };
  const { row, column, turn, padded } = input.access;
  const ends = [
    row * (maxDim(recipe.rows) - 1),
    column * (maxDim(recipe.columns) - 1),
    turn * Math.max(0, recipe.turns - 1),
  ];
  const low = ends.reduce((sum, end) => sum + Math.min(0, end), 0);
  const high = ends.reduce((sum, end) => sum + Math.max(0, end), 0);
  if (padded) return { offset: -low - 2, size: Math.max(1, high - low - 2) };
  return { offset: -low, size: high - low + 1 };
}

/** Elements in row-major order, by which gathered and wrapped inputs are addressed. */
function position(recipe: Recipe, { row, column, turn }: Place): Index {
  return add(add(mul(row, maxDim(recipe.columns)), column), turn);
}

function positions({ rows, columns, turns }: Recipe): number {
  return maxDim(rows) * maxDim(columns) + Math.max(0, turns - 1);
}

function dimIndex(dim: Dim): Index {
  return typeof dim === 'number' ? constant(dim) : varIndex(dim);
}

class RecipeBuilder {
  readonly #b: KernelBuilder;
  readonly #recipe: Recipe;
  readonly #form: Form;
  readonly #inputs: readonly { readonly data: Buffer; readonly indices: Buffer | undefined }[];
  readonly #output: Buffer;
  readonly #local: Buffer | undefined;

  constructor(recipe: Recipe, form: Form, target: KernelTarget) {
    this.#recipe = recipe;
    this.#form = form;
    const b = new KernelBuilder(target);
    this.#b = b;
    this.#inputs = recipe.inputs.map((input, i) => {
      const data = b.buffer(`x${i}`, input.dtype, extentOf(recipe, input).size, 'in');
      const gathered = input.access.kind === 'gathered';
      const indices = gathered ? b.buffer(`at${i}`, 'i32', positions(recipe), 'in') : undefined;
      return { data, indices };
    });
    const columns = maxDim(recipe.columns);
    this.#output = b.buffer('out', recipe.output, maxDim(recipe.rows) * columns, 'out');
    if (recipe.staged) this.#local = b.buffer('row', recipe.type, columns, 'local');
  }

  build(): Kernel {
    const { rows, staged, threads } = this.#recipe;
    // Turns of a thread loop may share no local buffer.
    const kind = threads && !staged ? 'thread' : 'serial';
    this.#b.loop(dimIndex(rows), kind, [], (row) => {
      this.#columns((column, mask) => this.#element({ row, column, turn: ZERO, mask }));
      if (staged) this.#columns((column, mask) => this.#unstage(row, column, mask));
    });
    return this.#b.build(`random_${this.#form}`);
  }

  #columns(element: (column: Index, mask: readonly Index[]) => void): void {
    const columns = dimIndex(this.#recipe.columns);
    const { lanes, laneIndex } = this.#b;
    const whole = div(columns, lanes);
    switch (this.#form) {
      case 'scalar':
        this.#b.loop(columns, 'serial', [], (i) => element(i, []));
        return;
      case 'vector':
        this.#b.loop(whole, 'serial', [], (i) => element(add(mul(i, lanes), laneIndex), []));
        this.#b.loop(sub(columns, mul(whole, lanes)), 'serial', [], (i) =>
          element(add(mul(whole, lanes), i), []),
        );
        return;
      case 'masked':
        this.#b.loop(div(add(columns, lanes - 1), lanes), 'serial', [], (i) => {
          const column = add(mul(i, lanes), laneIndex);
          element(column, [sub(sub(columns, 1), column)]);
        });
        return;
      default:
        this.#form satisfies never;
    }
  }

  #element(place: Place): void {
    const result = this.#reduced(place);
    // What is the same in all columns is one lane wide.
    const value = hasLane(place.column) ? this.#b.splat(result) : result;
    if (this.#local) this.#b.store(this.#local, place.column, value, place.mask);
    else this.#write(place.row, place.column, value, place.mask);
  }

  #unstage(row: Index, column: Index, mask: readonly Index[]): void {
    const b = this.#b;
    if (!this.#local) return;
    const value = b.load(this.#local, column, mask);
    const first = b.load(this.#local, ZERO);
    this.#write(row, column, b.binary('sub', value, first), mask);
  }

  #write(row: Index, column: Index, value: Value, mask: readonly Index[]): void {
    const { columns, output } = this.#recipe;
    const at = add(mul(row, maxDim(columns)), column);
    this.#b.store(this.#output, at, this.#b.convert(value, valueDType(output)), mask);
  }

  #reduced(place: Place): Value {
    const { turns, reduce, type, expression } = this.#recipe;
    const b = this.#b;
    if (turns === 0) return this.#evaluate(expression, place);
    const wide = (value: Value) => (hasLane(place.column) ? b.splat(value) : value);
    const zero = wide(b.const(type, 0));
    const one = wide(b.const(type, 1));
    const kind = reduce === 'add' ? 'reduce' : 'serial';
    const [result, second] = b.loop(turns, kind, [zero, one], (turn, [x, y]) => {
      const value = this.#evaluate(expression, { ...place, turn });
      if (reduce === 'swap') return [y, b.binary('sub', x, value)];
      return [b.binary(reduce, x, value), b.binary('add', y, x)];
    });
    return b.binary('add', result, second);
  }

  #evaluate(e: Expression, place: Place): Value {
    const b = this.#b;
    const { type } = this.#recipe;
    const of = (x: Expression) => this.#evaluate(x, place);
    switch (e.op) {
      case 'load':
        return b.convert(this.#load(e.input, place), type);
      case 'const':
        return b.const(type, e.value);
      case 'index':
        return b.convert(b.index(add(mul(place.row, e.row), mul(place.column, e.column))), type);
      case 'unary':
        return b.unary(e.fn, of(e.a));
      case 'binary':
        return b.binary(e.fn, of(e.a), of(e.b));
      case 'through':
        return b.convert(b.convert(of(e.a), e.dtype), type);
      case 'fma':
        if (isFloat(type)) return b.fma(of(e.a), of(e.b), of(e.c));
        return b.binary('add', b.binary('mul', of(e.a), of(e.b)), of(e.c));
      case 'select': {
        const [x, y] = [of(e.a), of(e.b)];
        const condition = b.compare(e.fn, x, y);
        return b.select(e.negated ? b.unary('not', condition) : condition, x, y);
      }
      default:
        return e satisfies never;
    }
  }

  #load(number: number, place: Place): Value {
    const b = this.#b;
    const recipe = this.#recipe;
    const input = recipe.inputs[number];
    const { data, indices } = this.#inputs[number];
    const { access } = input;
    if (indices) {
      const gather = (at: Index, mask: readonly Index[]) =>
        b.load(data, b.checked(b.load(indices, at, mask), data.size, `x${number}`));
      const at = position(recipe, place);
      if (!hasLane(at)) return gather(at, place.mask);
      return b.pack(
        this.#b.eachLane((l) =>
          gather(
            atLane(at, l),
            place.mask.map((m) => atLane(m, l)),
          ),
        ),
      );
    }
    if (access.kind !== 'linear') {
      const by = access.kind === 'wrapped' ? access.by : 1;
      return b.load(data, mod(div(position(recipe, place), by), data.size));
    }
    const { offset } = extentOf(recipe, input);
    const terms = [
      mul(place.row, access.row),
      mul(place.column, access.column),
      mul(place.turn, access.turn),
    ];
    const at = terms.reduce((sum, term) => add(sum, term), constant(offset));
    const inside = access.padded ? [at, sub(constant(data.size - 1), at)] : [];
    return b.load(data, at, [...place.mask, ...inside], access.other);
  }
}

/** The kernel of a recipe in one of its forms. */
export function buildRecipe(
  recipe: Recipe,
  form: Form,
  target: KernelTarget = WASM_KERNELS,
): Kernel {
  return new RecipeBuilder(recipe, form, target).build();
}

/** A small generator of our own: the same seed gives the same data everywhere. */
function generator(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state ^ (state >>> 15)) >>> 0;
  };
}

/** Values worth trying in a type: ordinary ones and the edges. */
export function interestingValues(dtype: DType): readonly number[] {
  switch (dtype) {
    case 'f64':
      return [...CONSTANTS.f64, 3, 1 / 3, 1e-310, 4294967296.5, 2 ** 53];
    case 'f32':
    case 'f16':
    case 'bf16':
    case 'f8e4m3':
    case 'f8e5m2':
      return [...CONSTANTS.f32, 3, 1 / 3, 448, 0.001, 65504, 2147483648, -7.5, 3.5];
    case 'i32':
      return CONSTANTS.i32;
    case 'u32':
      return CONSTANTS.u32;
    case 'i8':
      return [0, 1, -1, 127, -128, 5];
    case 'u8':
      return [0, 1, 255, 128, 7];
    case 'bool':
      return [0, 1];
    default:
      return dtype satisfies never;
  }
}

export interface RecipeArguments {
  readonly buffers: TypedArray[];
  readonly vars: number[];
}

/** Arguments for a kernel of this recipe: inputs with data, the output zero. */
export function recipeArguments(recipe: Recipe, kernel: Kernel): RecipeArguments {
  const random = generator(recipe.seed);
  const anyOf = ({ min, max }: Var) => min + (random() % (max - min + 1));
  const sizes = new Map(
    [recipe.rows, recipe.columns].flatMap((dim) =>
      typeof dim === 'number' ? [] : [[dim.name, anyOf(dim)] as const],
    ),
  );
  const buffers = kernel.buffers.map(({ name, dtype, size, role }) => {
    const array = new (arrayClass(dtype))(size);
    if (role === 'out') return array;
    const input = recipe.inputs[Number(/\d+$/.exec(name)?.[0])];
    const values = interestingValues(dtype);
    for (let i = 0; i < size; i++) {
      if (name.startsWith('at') && input.access.kind === 'gathered') {
        const wrong = input.access.wrong && random() % 8 === 0;
        array[i] = wrong ? -3 : random() % input.access.size;
      } else {
        const value = values[random() % values.length];
        array[i] = isSmallFloat(dtype) ? encodeFloat(dtype, value) : value;
      }
    }
    return array;
  });
  return { buffers, vars: kernel.vars.map((v) => sizes.get(v.name) ?? v.min) };
}

/** The numbers that an array of a type stands for. */
export function decoded(dtype: DType, array: TypedArray): number[] {
  return Array.from(array, (x) => (isSmallFloat(dtype) ? decodeFloat(dtype, x) : x));
}
