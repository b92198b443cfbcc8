import { LruMap } from '../base/lru.ts';
import { compile } from '../compile/index.ts';
import type { Device, Executable } from '../device/index.ts';
import type { BufferNode } from '../ir/graph/build.ts';
import { graphKey } from '../ir/graph/print.ts';
import { withSources } from '../ir/graph/rebuild.ts';
import { topological } from '../ir/graph/traverse.ts';
import type { Node } from '../ir/graph/types.ts';
import { isStatic } from '../ir/shape.ts';
import type { Lazy } from './lazy.ts';
import { enqueue } from './queue.ts';
import { allocate, type Storage, storageOf } from './storage.ts';

/** Executables by device and graph; equal text means an equal program. */
const CACHE_SIZE = 256;
const caches = new WeakMap<Device, LruMap<string, Promise<Executable>>>();

function cacheOf(device: Device): LruMap<string, Promise<Executable>> {
  let cache = caches.get(device);
  if (!cache) {
    cache = new LruMap(CACHE_SIZE, (executable) => {
      executable.then((e) => e.dispose()).catch(() => undefined);
    });
    caches.set(device, cache);
  }
  return cache;
}

/** A graph cut where memory already holds a value. */
export interface Cut {
  readonly outputs: Node[];
  readonly inputs: BufferNode[];
  readonly storages: Storage[];
}

/**
 * Replaces what is in memory by its buffers.
 *
 * @param isBound buffers that will be bound later (the arguments of a trace)
 */
export function cutAtMemory(
  outputs: readonly Node[],
  isBound: (node: Node) => boolean = () => false,
): Cut {
  const live = (node: Node) => storageOf(node.id);
  const replaced = new Map<number, Node>();
  const inputs = new Map<number, BufferNode>();
  const storages: Storage[] = [];
  for (const node of topological(outputs, (n) => live(n) !== undefined)) {
    const storage = live(node);
    if (storage) {
      if (!inputs.has(storage.node.id)) {
        inputs.set(storage.node.id, storage.node);
        storages.push(storage);
      }
      replaced.set(node.id, storage.node);
    } else if (isBound(node)) {
      replaced.set(node.id, node);
    } else if (node.op === 'buffer') {
      throw new TypeError(
        `the array ${node.arg.name} is not in memory: it was disposed of, or belongs to a jit trace ` +
          'that has ended; a traced function must return what is needed outside',
      );
    } else {
      const src = node.src.map((s) => replaced.get(s.id) ?? s);
      replaced.set(node.id, withSources(node, src));
    }
  }
  return {
    outputs: outputs.map((o) => replaced.get(o.id) ?? o),
    inputs: [...inputs.values()],
    storages,
  };
}

/** Computes lazies together, so that what they share is computed once. */
export function realizeAll(lazies: readonly Lazy[]): Promise<void> {
  const open = [...new Set(lazies)].filter((lazy) => !lazy.storage);
  if (open.length === 0) return Promise.resolve();
  const byDevice = new Map<Device, Lazy[]>();
  for (const lazy of open) {
    const list = byDevice.get(lazy.device) ?? [];
    list.push(lazy);
    byDevice.set(lazy.device, list);
  }
  // What is being computed must outlive its handles until it is done.
  for (const lazy of open) lazy.retain();
  const tasks = [...byDevice].map(([device, list]) =>
    enqueue(device, () => computeNow(device, list)),
  );
  return Promise.all(tasks).then(
    () => {
      for (const lazy of open) lazy.release();
    },
    (error: unknown) => {
      for (const lazy of open) lazy.release();
      throw error;
    },
  );
}

/** @internal The same inside a task of the device's queue, which all of them are on. */
export async function computeNow(device: Device, lazies: readonly Lazy[]): Promise<void> {
  // An earlier task may have computed some of them meanwhile.
  const open = [...new Set(lazies)].filter((lazy) => !lazy.storage);
  if (open.length === 0) return;
  const { outputs, inputs, storages } = cutAtMemory(open.map((lazy) => lazy.node));
  for (const node of outputs) {
    if (!isStatic(node.shape)) throw new TypeError('an array of symbolic shape needs jit to run');
  }
  const executable = await executableFor(device, outputs, inputs);
  const results: Storage[] = [];
  try {
    for (const node of outputs) results.push(allocate(device, node.dtype, node.shape, node.op));
    await executable.run(
      storages.map((s) => s.allocation),
      results.map((s) => s.allocation),
      new Map(),
    );
  } catch (error) {
    for (const storage of results) storage.release();
    throw error;
  }
  open.forEach((lazy, i) => {
    lazy.realise(results[i]);
  });
}

function executableFor(
  device: Device,
  outputs: readonly Node[],
  inputs: readonly BufferNode[],
): Promise<Executable> {
  const cache = cacheOf(device);
  const key = graphKey(outputs, inputs);
  const known = cache.get(key);
  if (known) return known;
  const made = Promise.resolve().then(() =>
    device.load(compile(device.target, outputs, inputs).code),
  );
  cache.set(key, made);
  made.catch(() => cache.delete(key));
  return made;
}
