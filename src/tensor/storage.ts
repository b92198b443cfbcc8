import { badArgument, InternalError } from '../base/errors.ts';
import type { Allocation, Device } from '../device/index.ts';
import { DTYPES, type DType } from '../ir/dtype.ts';
import { type BufferNode, bufferNode } from '../ir/graph/build.ts';
import { type Shape, sizeOf } from '../ir/shape.ts';

/** Memory of a realised array, counted: freed when nothing refers to it any more. */
export class Storage {
  readonly device: Device;
  readonly allocation: Allocation;
  /** The node that stands for this memory in graphs. */
  readonly node: BufferNode;
  /** Nodes that this memory stands for: its own and the expressions it was computed from. */
  readonly #ids: number[] = [];
  #references = 1;

  constructor(device: Device, allocation: Allocation, dtype: DType, shape: Shape, name: string) {
    this.device = device;
    this.allocation = allocation;
    this.node = bufferNode(dtype, shape, name);
    this.standFor(this.node.id);
  }

  get isFreed(): boolean {
    return this.#references === 0;
  }

  /** True when just one owner is left: it may be written over. */
  get isUnshared(): boolean {
    return this.#references === 1;
  }

  /**
   * Makes a node stand for this memory, which holds its value. One that stands for another already (a
   * copy of what is in memory) goes on doing so.
   */
  standFor(nodeId: number): void {
    if (bound.has(nodeId)) return;
    bound.set(nodeId, this);
    this.#ids.push(nodeId);
  }

  retain(): void {
    if (this.isFreed) throw new InternalError('a freed array is used again');
    this.#references++;
  }

  release(): void {
    if (this.isFreed) throw new InternalError('an array was released twice');
    this.#references--;
    if (this.#references > 0) return;
    for (const id of this.#ids) bound.delete(id);
    budget.forget(this);
    this.device.free(this.allocation);
  }
}

/** Nodes whose value is in memory, by node id: a graph is cut where it meets one of them. */
const bound = new Map<number, Storage>();

export function storageOf(nodeId: number): Storage | undefined {
  return bound.get(nodeId);
}

/** Live arrays by size: what an error of exhausted memory shows. */
class Budget {
  readonly #live = new Set<Storage>();
  limit = Number.POSITIVE_INFINITY;

  add(storage: Storage): void {
    this.#live.add(storage);
  }

  forget(storage: Storage): void {
    this.#live.delete(storage);
  }

  largest(count: number): Storage[] {
    return [...this.#live].sort((a, b) => b.allocation.bytes - a.allocation.bytes).slice(0, count);
  }
}

const budget = new Budget();

/** Limits the bytes of live arrays on each device (default: none). Passing it throws. */
export function setMemoryBudget(bytes: number): void {
  if (!(bytes > 0)) throw badArgument('setMemoryBudget', 'bytes', bytes, 'a number > 0');
  budget.limit = bytes;
}

/**
 * Memory for an array of a type and shape.
 *
 * @throws RangeError beyond the budget or the device's memory, naming the largest holders
 */
export function allocate(device: Device, dtype: DType, shape: Shape, name: string): Storage {
  const bytes = sizeOf(shape) * DTYPES[dtype].bytes;
  if (device.liveBytes + bytes > budget.limit) {
    collectGarbage();
    if (device.liveBytes + bytes > budget.limit) throw exhausted(device, bytes);
  }
  const storage = new Storage(device, device.allocate(bytes), dtype, shape, name);
  budget.add(storage);
  return storage;
}

/** A piece of a file as an array, where the device can map it: it passes no budget. */
export function allocateMapped(
  device: Device & Required<Pick<Device, 'map'>>,
  { path, offset }: { readonly path: string; readonly offset: number },
  dtype: DType,
  shape: Shape,
): Storage {
  const bytes = sizeOf(shape) * DTYPES[dtype].bytes;
  const storage = new Storage(device, device.map(path, offset, bytes), dtype, shape, 'mapped');
  budget.add(storage);
  return storage;
}

/** Native memory is freed when handles are collected: where the host allows it, ask once. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

function exhausted(device: Device, bytes: number): RangeError {
  const mib = (n: number) => `${(n / 2 ** 20).toFixed(1)} MiB`;
  const holders = budget
    .largest(3)
    .map(
      (s) =>
        `${s.node.arg.name} ${s.node.dtype}[${s.node.shape.join(', ')}] ${mib(s.allocation.bytes)}`,
    );
  return new RangeError(
    `memory budget: ${mib(bytes)} more would pass ${mib(budget.limit)} ` +
      `(${mib(device.liveBytes)} live on ${device.name}; largest: ${holders.join('; ')}). ` +
      'Dispose of tensors, use scope(), or raise setMemoryBudget',
  );
}
