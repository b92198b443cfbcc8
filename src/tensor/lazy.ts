import { debug, debugging } from '../base/env.ts';
import type { Device } from '../device/index.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Storage } from './storage.ts';

/**
 * The value behind a Tensor: a graph node, and once it is realised its memory. Lazies own what they
 * are computed from until then; realising one drops its sources.
 */
export class Lazy {
  readonly device: Device;
  #node: Node;
  #sources: readonly Lazy[];
  #storage: Storage | undefined;
  #references = 1;

  constructor(device: Device, node: Node, sources: readonly Lazy[], storage?: Storage) {
    this.device = device;
    this.#node = node;
    this.#sources = sources;
    this.#storage = storage;
    for (const source of sources) source.retain();
  }

  /** The node for new graphs: the memory itself once there is some. */
  get node(): Node {
    return this.#node;
  }

  get storage(): Storage | undefined {
    return this.#storage;
  }

  get sources(): readonly Lazy[] {
    return this.#sources;
  }

  get isReleased(): boolean {
    return this.#references === 0;
  }

  /** Counts owners beyond the one that made it: 0 when nobody else can see the value. */
  get sharers(): number {
    return this.#references - 1 + (this.#storage?.isUnshared === false ? 1 : 0);
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    this.#references--;
    if (this.#references > 0) return;
    this.#storage?.release();
    this.#dropSources();
  }

  /** The value is now in memory. Graphs made before still hold the old node: both stand for it. */
  realise(storage: Storage): void {
    storage.standFor(this.#node.id);
    this.#node = storage.node;
    this.#storage = storage;
    this.#dropSources();
  }

  #dropSources(): void {
    const sources = this.#sources;
    this.#sources = [];
    for (const source of sources) source.release();
  }
}

/** Handles that the garbage collector took before anyone disposed of them. */
const lost = new FinalizationRegistry<{ lazy: Lazy; label: string }>(({ lazy, label }) => {
  if (debugging(2) && lazy.storage)
    debug(`collected ${label}: dispose of it earlier, or use scope()`);
  lazy.release();
});

export function watch(handle: object, lazy: Lazy, label: string): void {
  lost.register(handle, { lazy, label }, handle);
}

export function unwatch(handle: object): void {
  lost.unregister(handle);
}
