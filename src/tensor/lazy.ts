import { debug, debugging } from '../base/env.ts';
import type { Device } from '../device/index.ts';
import type { Node } from '../ir/graph/types.ts';
import type { Storage } from './storage.ts';

/**
 * The time in which a function is differentiated that reads values on its way. What depends on its
 * inputs keeps its history also in memory, until the end.
 */
export class History {
  readonly #kept = new Set<Lazy>();
  #open = true;

  get isOpen(): boolean {
    return this.#open;
  }

  /** @internal */
  keep(lazy: Lazy): void {
    this.#kept.add(lazy);
  }

  close(): void {
    this.#open = false;
    for (const lazy of this.#kept) lazy.settle();
    this.#kept.clear();
  }
}

const NO_HISTORIES: readonly History[] = [];

/**
 * The value behind a Tensor: a graph node, and once it is realised its memory. Lazies own what they
 * are computed from until then; realising one drops its sources, unless a history wants them.
 */
export class Lazy {
  readonly device: Device;
  #node: Node;
  #sources: readonly Lazy[];
  #storage: Storage | undefined;
  #references = 1;
  #histories: readonly History[];

  constructor(device: Device, node: Node, sources: readonly Lazy[], storage?: Storage) {
    this.device = device;
    this.#node = node;
    this.#sources = sources;
    this.#storage = storage;
    this.#histories = historiesOf(sources);
    for (const source of sources) source.retain();
  }

  /** True while a function is differentiated by something that this was computed from. */
  get isDifferentiated(): boolean {
    return this.#histories.some((history) => history.isOpen);
  }

  /** Lets a history begin here: all that is computed from this until its end keeps its own. */
  differentiate(history: History): void {
    this.#histories = [...this.#histories.filter((h) => h.isOpen), history];
    history.keep(this);
  }

  /** The node for new graphs: the memory itself once there is some and no history is kept. */
  get node(): Node {
    return this.#node;
  }

  get storage(): Storage | undefined {
    return this.#storage;
  }

  get sources(): readonly Lazy[] {
    return this.#sources;
  }

  /** @internal */
  get histories(): readonly History[] {
    return this.#histories;
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
    this.#storage = storage;
    for (const history of this.#histories) if (history.isOpen) history.keep(this);
    this.settle();
  }

  /** @internal What is in memory forgets how it was computed, when no history asks any more. */
  settle(): void {
    if (this.#storage === undefined || this.isReleased || this.isDifferentiated) return;
    this.#node = this.#storage.node;
    this.#histories = NO_HISTORIES;
    this.#dropSources();
  }

  #dropSources(): void {
    const sources = this.#sources;
    this.#sources = [];
    for (const source of sources) source.release();
  }
}

/** What lazies are computed from that is in memory, or part of a history. */
export function leavesOf(lazies: readonly Lazy[]): Lazy[] {
  const found = new Set<Lazy>();
  const seen = new Set<Lazy>();
  const stack = [...lazies];
  while (stack.length > 0) {
    const lazy = stack.pop() as Lazy;
    if (seen.has(lazy)) continue;
    seen.add(lazy);
    if (lazy.storage || lazy.isDifferentiated) found.add(lazy);
    stack.push(...lazy.sources);
  }
  return [...found];
}

function historiesOf(sources: readonly Lazy[]): readonly History[] {
  if (sources.every((source) => source.histories.length === 0)) return NO_HISTORIES;
  const all = new Set(sources.flatMap((source) => source.histories));
  return [...all].filter((history) => history.isOpen);
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
