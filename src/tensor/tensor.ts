import { badArgument } from '../base/errors.ts';
import { type DeviceChoice, device as deviceOf } from '../device/index.ts';
import type { Device } from '../device/types.ts';
import { arrayClass, type DType, promote, type TypedArray } from '../ir/dtype.ts';
import { encodeFloat, isSmallFloat } from '../ir/float-formats.ts';
import * as g from '../ir/graph/build.ts';
import {
  checkAxis,
  type Dim,
  formatShape,
  isVar,
  type Shape,
  shapesEqual,
  sizeOf,
} from '../ir/shape.ts';
import type { Handle, Nested } from './handle.ts';
import { Lazy } from './lazy.ts';
import { Movement } from './movement.ts';
import { Ordering } from './ordering.ts';
import { leave } from './scope.ts';
import { stopGradientOf } from './stop-gradient.ts';
import { allocate } from './storage.ts';

/**
 * An n-dimensional array. Operations are lazy: they build a graph, which is compiled and run when
 * the value is asked for (`data`, `item`, `realize`) or when a jitted step runs.
 */
export class Tensor extends Ordering {
  protected wrap(lazy: Lazy): this {
    return new Tensor(lazy) as this;
  }

  /** @internal A handle that belongs to no scope. */
  static outsideScopes(lazy: Lazy): Tensor {
    const handle = new Tensor(lazy);
    leave(handle);
    return handle;
  }

  detach(): this {
    return stopGradientOf(this, (lazy) => this.wrap(lazy));
  }
}

export interface TensorOptions {
  readonly dtype?: DType;
  /** The device that holds it (default: TERSOR_DEVICE, else cpu). */
  readonly device?: DeviceChoice | Device;
}

/** @internal */
export function chooseDevice(choice: TensorOptions['device']): Device {
  return typeof choice === 'object' ? choice : deviceOf(choice);
}

function flatten(value: Nested, shape: number[], axis: number, out: number[]): void {
  if (!Array.isArray(value)) {
    if (axis !== shape.length) throw badArgument('tensor', 'data', value, 'lists of equal lengths');
    if (typeof value !== 'number' && typeof value !== 'boolean') {
      throw badArgument('tensor', 'data', value, 'numbers');
    }
    out.push(Number(value));
    return;
  }
  if (value.length !== shape[axis]) {
    throw badArgument(
      'tensor',
      'data',
      value,
      `lists of equal lengths (${shape[axis]} on axis ${axis})`,
    );
  }
  for (const item of value) flatten(item as Nested, shape, axis + 1, out);
}

/** The dtype of a typed array (raw bits of 16-bit floats need `dtype`). */
function naturalType(data: TypedArray): DType {
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof Uint32Array) return 'u32';
  if (data instanceof Int8Array) return 'i8';
  if (data instanceof Uint8Array) return 'u8';
  throw badArgument('tensor', 'data', data, 'a dtype beside a Uint16Array: f16 or bf16');
}

function encode(values: readonly number[], dtype: DType): TypedArray {
  const out = new (arrayClass(dtype))(values.length);
  values.forEach((v, i) => {
    out[i] = isSmallFloat(dtype) ? encodeFloat(dtype, v) : dtype === 'bool' ? Number(v !== 0) : v;
  });
  return out;
}

/**
 * A tensor from numbers, nested lists, or a typed array (whose bits are copied as they are).
 * Numbers become f32, booleans bool, typed arrays their own type.
 */
export function tensor(
  data: Nested | TypedArray,
  options: TensorOptions & { readonly shape?: readonly number[] } = {},
): Tensor {
  if (ArrayBuffer.isView(data)) {
    const dtype = options.dtype ?? naturalType(data);
    const Class = arrayClass(dtype);
    if (!(data instanceof Class)) {
      throw badArgument('tensor', 'data', data, `a ${Class.name} for dtype ${dtype}`);
    }
    return fromArray(data, dtype, options.shape ?? [data.length], options.device);
  }
  const shape: number[] = [];
  for (let v: Nested = data; Array.isArray(v); v = v[0] as Nested) {
    shape.push(v.length);
    if (v.length === 0) break;
  }
  const values: number[] = [];
  flatten(data, shape, 0, values);
  const dtype = options.dtype ?? (typeof firstLeaf(data) === 'boolean' ? 'bool' : 'f32');
  return fromArray(encode(values, dtype), dtype, options.shape ?? shape, options.device);
}

function firstLeaf(data: Nested): unknown {
  let v: unknown = data;
  while (Array.isArray(v)) v = v[0];
  return v;
}

function fromArray(
  data: TypedArray,
  dtype: DType,
  shape: readonly number[],
  choice: TensorOptions['device'],
): Tensor {
  if (sizeOf(shape) !== data.length) {
    throw badArgument('tensor', 'shape', shape, `sizes whose product is ${data.length}`);
  }
  const device = chooseDevice(choice);
  const storage = allocate(device, dtype, shape, 'tensor');
  device.write(storage.allocation, data);
  return new Tensor(new Lazy(device, storage.node, [], storage));
}

/** A constant of a shape; it takes no memory until it is used as an array. */
export function full(shape: Shape, value: number, options: TensorOptions = {}): Tensor {
  const node = g.full(value, shape, options.dtype ?? 'f32');
  return new Tensor(new Lazy(chooseDevice(options.device), node, []));
}
export function zeros(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 0, options);
}
export function ones(shape: Shape, options: TensorOptions = {}): Tensor {
  return full(shape, 1, options);
}

/** 0, 1, ... n - 1 as i32 (or another type); n may be symbolic. */
export function arange(length: Dim, options: TensorOptions = {}): Tensor {
  const node = g.cast(g.iota(length), options.dtype ?? 'i32');
  return new Tensor(new Lazy(chooseDevice(options.device), node, []));
}

/** A symbolic size as a scalar i32 (or another type): its value in the present run. */
export function sizeValue(size: Dim, options: TensorOptions = {}): Tensor {
  const node = isVar(size) ? g.varValue(size) : g.scalar(size, 'i32');
  const typed = g.cast(node, options.dtype ?? 'i32');
  return new Tensor(new Lazy(chooseDevice(options.device), typed, []));
}

/** The identity matrix. */
export function eye(size: number, options: TensorOptions = {}): Tensor {
  const row = arange(size, { ...options, dtype: 'i32' });
  return row
    .unsqueeze(1)
    .eq(row)
    .cast(options.dtype ?? 'f32');
}

/** Joins tensors along an axis that they have. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first, ...rest] = tensors;
  if (!first) throw badArgument('concat', 'tensors', tensors, 'at least one tensor');
  const at = checkAxis('concat', axis, first.rank);
  const dtype = tensors.reduce((t, x) => promote(t, x.dtype), first.dtype);
  for (const other of rest) {
    const fits = shapesEqual(
      other.shape.map((d, i) => (i === at ? 0 : d)),
      first.shape.map((d, i) => (i === at ? 0 : d)),
    );
    if (!fits) {
      throw new TypeError(
        `concat: shapes ${formatShape(first.shape)} and ${formatShape(other.shape)} differ outside axis ${at}`,
      );
    }
  }
  const nodes = tensors.map((t) => g.cast(t.node, dtype));
  return first.derive(Joining.join(nodes, at), ...rest);
}

/** Joins tensors of one shape along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first] = tensors;
  if (!first) throw badArgument('stack', 'tensors', tensors, 'at least one tensor');
  const at = checkAxis('stack', axis, first.rank + 1);
  return concat(
    tensors.map((t) => t.unsqueeze(at)),
    at,
  );
}

abstract class Joining extends Movement {
  static join = Movement.concatNodes;
}

export type { Handle };
