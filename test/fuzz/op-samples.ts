import { DTYPES, type DType } from '../../src/ir/dtype.ts';
import * as g from '../../src/ir/graph/build.ts';
import type { BinaryFn, Node, OpName, UnaryFn } from '../../src/ir/graph/types.ts';

/** A small graph whose last op is the one in question, of one element type; inputs are its buffers. */
export interface Sample {
  readonly inputs: readonly g.BufferNode[];
  readonly output: Node;
}

type Make = (dtype: DType) => Sample | undefined;

const ROWS = 3;
const COLUMNS = 10;

function ofOne(make: (x: g.BufferNode, dtype: DType) => Node | undefined): Make {
  return (dtype) => {
    const x = g.bufferNode(dtype, [ROWS, COLUMNS], 'x');
    const output = make(x, dtype);
    return output && { inputs: [x], output };
  };
}

function ofTwo(make: (x: g.BufferNode, y: g.BufferNode, dtype: DType) => Node | undefined): Make {
  return (dtype) => {
    const x = g.bufferNode(dtype, [ROWS, COLUMNS], 'x');
    const y = g.bufferNode(dtype, [ROWS, COLUMNS], 'y');
    const output = make(x, y, dtype);
    return output && { inputs: [x, y], output };
  };
}

const isNumber = (dtype: DType) => DTYPES[dtype].kind !== 'bool';
const isFloat = (dtype: DType) => DTYPES[dtype].kind === 'float';
/** Every second element, from 0: an index for axis 1 of a sample's array. */
const places = () =>
  g.expand(g.reshape(g.binary('mul', g.iota(5), g.full(2, [5], 'i32')), [1, 5]), [ROWS, 5]);

const BITCASTS: Partial<Record<DType, DType>> = {
  f32: 'i32',
  i32: 'f32',
  f16: 'bf16',
  bf16: 'f16',
  f8e4m3: 'u8',
  f8e5m2: 'i8',
};

/** One graph for each op; an op without its sample does not compile. */
export const SAMPLES: { readonly [K in OpName]: Make } = {
  const: (dtype) => ({ inputs: [], output: g.full(1, [ROWS, COLUMNS], dtype) }),
  buffer: ofOne((x) => x),
  var: () => undefined,
  iota: (dtype) => (dtype === 'i32' ? { inputs: [], output: g.iota(COLUMNS) } : undefined),
  cast: ofOne((x, dtype) => g.cast(g.cast(x, dtype === 'f32' ? 'i32' : 'f32'), dtype)),
  bitcast: ofOne((x, dtype) => (BITCASTS[dtype] ? g.bitcast(x, BITCASTS[dtype]) : undefined)),
  unary: ofOne((x, dtype) => {
    const fn: UnaryFn = isFloat(dtype) ? 'exp' : dtype === 'bool' ? 'not' : 'abs';
    return g.unary(fn, x);
  }),
  binary: ofTwo((x, y, dtype) => {
    const fn: BinaryFn = dtype === 'bool' ? 'and' : 'add';
    return g.binary(fn, x, y);
  }),
  compare: ofTwo((x, y) => g.compare('lt', x, y)),
  where: ofTwo((x, y) => g.where(g.compare('eq', x, y), x, y)),
  reduce: ofOne((x, dtype) => (isNumber(dtype) ? g.reduce('sum', x, [1]) : undefined)),
  scan: ofOne((x, dtype) => (isNumber(dtype) ? g.scan('sum', x, 1) : undefined)),
  sort: ofOne((x) => g.sort(x, 1)),
  reshape: ofOne((x) => g.reshape(x, [COLUMNS, ROWS])),
  permute: ofOne((x) => g.permute(x, [1, 0])),
  expand: ofOne((x) =>
    g.expand(
      g.shrink(x, [
        [0, 1],
        [0, COLUMNS],
      ]),
      [ROWS, COLUMNS],
    ),
  ),
  pad: ofOne((x) =>
    g.pad(
      x,
      [
        [1, 0],
        [0, 2],
      ],
      1,
    ),
  ),
  shrink: ofOne((x) =>
    g.shrink(x, [
      [1, 2],
      [3, 5],
    ]),
  ),
  flip: ofOne((x) => g.flip(x, [1])),
  window: ofOne((x) => {
    const wide = g.expand(g.reshape(x, [ROWS, COLUMNS, 1]), [ROWS, COLUMNS, 2]);
    return g.window(wide, { axis: 1, size: 4, stride: 2, dilation: 3 });
  }),
  spread: ofOne((x) => {
    const windows = g.reshape(x, [ROWS, COLUMNS / 2, 2]);
    return g.spread(windows, { axis: 1, size: 13, stride: 2, dilation: 3 });
  }),
  gather: ofOne((x) => g.gather(x, places(), 1)),
  scatter: ofOne((x, dtype) => {
    const updates = g.shrink(x, [
      [0, ROWS],
      [0, 5],
    ]);
    return g.scatter(x, places(), updates, 1, dtype === 'bool' ? 'set' : 'add');
  }),
  quantize: ofOne((x) =>
    g.quantize(x, g.full(0.5, [ROWS, 1], 'f32'), undefined, {
      bits: 8,
      block: COLUMNS,
      zeroPoint: false,
    }),
  ),
  dequantize: ofOne((x, dtype) => {
    const zeros = dtype === 'u8' ? g.full(3, [ROWS, 1], 'u8') : undefined;
    const scheme = { bits: 8, block: COLUMNS, zeroPoint: dtype === 'u8' } as const;
    return g.dequantize(x, g.full(0.5, [ROWS, 1], 'f16'), zeros, scheme);
  }),
  dot: ofTwo((x, y, dtype) => (isNumber(dtype) ? g.dot(x, g.permute(y, [1, 0]), 0, 1) : undefined)),
  mark: ofTwo((x, y) => g.mark(x, [y], { kind: 'stop' })),
  after: ofTwo((x, y) => g.after(x, [y])),
  call: ofTwo((x, y, dtype) => {
    const parameters = ['p', 'q'].map((name) => g.bufferNode(dtype, [ROWS, COLUMNS], name));
    const [p, q] = parameters;
    const body = g.where(g.compare('eq', p, q), p, q);
    return g.call([y, x], { name: 'sample', parameters, body, attributes: null });
  }),
};
