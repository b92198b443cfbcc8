import { InternalError } from '../base/errors.ts';
import { alignUp } from '../ir/program.ts';

interface Block {
  offset: number;
  bytes: number;
}

/**
 * Hands out pieces of a linear memory: first fit in a list of free blocks kept in order of address,
 * so that neighbours join again. Few and large allocations: a list is enough.
 */
export class Heap {
  readonly #free: Block[];
  readonly #sizes = new Map<number, number>();
  #end: number;
  #live = 0;

  /** @param start first byte that may be handed out; `end` the first beyond the memory */
  constructor(start: number, end: number) {
    const first = alignUp(start);
    this.#free = end > first ? [{ offset: first, bytes: end - first }] : [];
    this.#end = end;
  }

  get liveBytes(): number {
    return this.#live;
  }

  /** Pieces that are not handed out, by address. */
  get freeBlocks(): readonly Readonly<Block>[] {
    return this.#free;
  }

  /** The offset of a free piece, or undefined when the memory must grow. */
  allocate(bytes: number): number | undefined {
    const size = Math.max(alignUp(bytes), alignUp(1));
    const i = this.#free.findIndex((block) => block.bytes >= size);
    if (i < 0) return undefined;
    const block = this.#free[i];
    const { offset } = block;
    if (block.bytes === size) this.#free.splice(i, 1);
    else {
      block.offset += size;
      block.bytes -= size;
    }
    this.#sizes.set(offset, size);
    this.#live += size;
    return offset;
  }

  free(offset: number): void {
    const bytes = this.#sizes.get(offset);
    if (bytes === undefined) throw new InternalError(`nothing is allocated at ${offset}`);
    this.#sizes.delete(offset);
    this.#live -= bytes;
    this.#insert({ offset, bytes });
  }

  /** Bytes missing at the end of the memory for a piece of this size. */
  shortfall(bytes: number): number {
    const last = this.#free[this.#free.length - 1];
    const tail = last && last.offset + last.bytes === this.#end ? last.bytes : 0;
    return alignUp(bytes) - tail;
  }

  /** The memory has grown. */
  extend(bytes: number): void {
    const offset = this.#end;
    this.#end += bytes;
    this.#insert({ offset, bytes });
  }

  #insert(block: Block): void {
    let i = this.#free.findIndex((other) => other.offset > block.offset);
    if (i < 0) i = this.#free.length;
    this.#free.splice(i, 0, block);
    this.#join(i);
    if (i > 0) this.#join(i - 1);
  }

  #join(i: number): void {
    const [block, next] = [this.#free[i], this.#free[i + 1]];
    if (!next || block.offset + block.bytes !== next.offset) return;
    block.bytes += next.bytes;
    this.#free.splice(i + 1, 1);
  }
}
