import { InternalError } from '../../base/errors.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../ir/dtype.ts';
import type { Allocation } from '../types.ts';

interface HostAllocation extends Allocation {
  buffer: ArrayBuffer | undefined;
}

/** Memory of the interpreters: an ArrayBuffer for each allocation. */
export class HostMemory {
  readonly runsAside = false;
  readonly capacity = Number.POSITIVE_INFINITY;
  #live = 0;

  get liveBytes(): number {
    return this.#live;
  }

  allocate(bytes: number): Allocation {
    const allocation: HostAllocation = { bytes, buffer: new ArrayBuffer(bytes) };
    this.#live += bytes;
    return allocation;
  }

  free(allocation: Allocation): void {
    const host = allocation as HostAllocation;
    if (!host.buffer) throw new InternalError('an allocation was freed twice');
    host.buffer = undefined;
    this.#live -= host.bytes;
  }

  write(allocation: Allocation, data: TypedArray): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    new Uint8Array(this.bufferOf(allocation)).set(bytes);
  }

  read(allocation: Allocation, dtype: DType, size: number): TypedArray {
    const bytes = size * DTYPES[dtype].bytes;
    const Class = arrayClass(dtype);
    return new Class(this.bufferOf(allocation).slice(0, bytes));
  }

  protected bufferOf(allocation: Allocation): ArrayBuffer {
    const { buffer } = allocation as HostAllocation;
    if (!buffer) throw new InternalError('an allocation is used after it was freed');
    return buffer;
  }
}
