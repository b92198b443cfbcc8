import { DTYPES } from '../ir/dtype.ts';
import { ensureFolder, listFolder, removeFiles, writeFileAtomic } from './files.ts';
import {
  bytesOf,
  layOutSafetensors,
  type OpenSafetensors,
  openSafetensors,
  type StoredEntry,
  type StoredTensor,
  storedBytes,
} from './safetensors.ts';
import { path as paths } from './slow-modules.ts';
import { type FileSource, type OpenFile, readJsonFrom, unreadable } from './source.ts';

/** The names that HuggingFace's libraries give to a model's weights. */
export const WEIGHTS = 'model.safetensors';
export const WEIGHTS_INDEX = 'model.safetensors.index.json';

export type CheckpointEntry = Pick<StoredEntry, 'dtype' | 'shape'>;

/** The tensors of a model, in one file or in shards, read one at a time. */
export interface Checkpoint {
  readonly entries: ReadonlyMap<string, CheckpointEntry>;
  /** The path of the file that holds a tensor, for messages. */
  fileOf(name: string): string;
  /** @throws Error naming file and tensor */
  read(name: string): Promise<StoredTensor>;
  /** Where the bytes of a tensor lie on this machine; undefined where they lie elsewhere. */
  locate(name: string): { path: string; offset: number; bytes: number } | undefined;
  close(): Promise<void>;
}

/**
 * Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names.
 *
 * @throws Error naming the file (and tensor) that is missing, damaged or not as the index says
 */
export async function openCheckpoint(source: FileSource): Promise<Checkpoint> {
  const shards = new Map<string, Shard>();
  try {
    const whole = await openShard(source, WEIGHTS);
    if (whole) shards.set(WEIGHTS, whole);
    else await openShards(source, shards);
  } catch (error) {
    await closeAll(shards);
    throw error;
  }
  const shardOf = new Map<string, string>();
  for (const [file, { entries }] of shards) {
    for (const name of entries.keys()) {
      const other = shardOf.get(name);
      if (other !== undefined) {
        await closeAll(shards);
        throw unreadable(source.pathOf(file), new Error(`it holds ${name}, as ${other} does`));
      }
      shardOf.set(name, file);
    }
  }
  const fileOf = (name: string) => source.pathOf(shardOf.get(name) ?? WEIGHTS);
  return {
    entries: new Map([...shards.values()].flatMap(({ entries }) => [...entries])),
    fileOf,
    read: async (name) => {
      const shard = shards.get(shardOf.get(name) ?? '');
      if (!shard) throw new RangeError(`${JSON.stringify(fileOf(name))} has no tensor ${name}`);
      try {
        return await shard.read(name);
      } catch (error) {
        throw unreadable(`${fileOf(name)}: ${name}`, error);
      }
    },
    locate: (name) => {
      const shard = shards.get(shardOf.get(name) ?? '');
      const path = shard?.file.path;
      return shard && path !== undefined ? { path, ...shard.locate(name) } : undefined;
    },
    close: () => closeAll(shards),
  };
}

interface Shard extends OpenSafetensors {
  readonly file: OpenFile;
}

async function openShard(source: FileSource, name: string): Promise<Shard | undefined> {
  const file = await source.open(name);
  if (!file) return undefined;
  try {
    return { ...(await openSafetensors(file)), file };
  } catch (error) {
    await file.close();
    throw unreadable(source.pathOf(name), error);
  }
}

async function closeAll(shards: ReadonlyMap<string, Shard>): Promise<void> {
  for (const { file } of shards.values()) await file.close();
}

async function openShards(source: FileSource, shards: Map<string, Shard>): Promise<void> {
  const index = await readJsonFrom(source, WEIGHTS_INDEX);
  const at = JSON.stringify(source.pathOf(WEIGHTS_INDEX));
  if (index === undefined) {
    throw new Error(
      `${JSON.stringify(source.pathOf(WEIGHTS))} does not exist, nor does ${WEIGHTS_INDEX}; ` +
        'expected one of them. Weights of other formats (.bin, .pth) have to be converted first.',
    );
  }
  const { weight_map: map } = (index ?? {}) as { weight_map?: unknown };
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new Error(`${at} has no weight_map; expected an object from tensors to files`);
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !/^[^/\\]+\.safetensors$/.test(file)) {
      throw new Error(
        `${at} gives ${JSON.stringify(file)} as the file of ${tensor}; expected a name ending in ` +
          '.safetensors in the same folder',
      );
    }
    const shard = shards.get(file) ?? (await openShard(source, file));
    if (!shard) {
      throw new Error(
        `${JSON.stringify(source.pathOf(file))} does not exist; ${WEIGHTS_INDEX} says that it ` +
          `holds ${tensor}`,
      );
    }
    shards.set(file, shard);
    if (!shard.entries.has(tensor)) {
      throw new Error(
        `${JSON.stringify(source.pathOf(file))} has no tensor ${tensor}; ${WEIGHTS_INDEX} says ` +
          'that it does',
      );
    }
  }
}

/** A tensor whose numbers are fetched when its turn to be written comes. */
export interface TensorToWrite extends Omit<StoredTensor, 'data'> {
  readonly data: () => Promise<StoredTensor['data']>;
}

export interface WriteCheckpointOptions {
  /** Largest file; one tensor that is larger still gets a file of its own (default 5e9). */
  readonly maxShardBytes?: number;
}

/**
 * Writes a model's tensors as HuggingFace's libraries do: one `model.safetensors`, or shards with an
 * index. Each file is written whole or not at all; weights of other names that were in the folder
 * are removed last.
 */
export async function writeCheckpoint(
  folder: string,
  tensors: ReadonlyMap<string, TensorToWrite>,
  { maxShardBytes = 5e9 }: WriteCheckpointOptions = {},
): Promise<void> {
  if (!(maxShardBytes > 0)) {
    throw new TypeError(`writeCheckpoint: maxShardBytes is ${maxShardBytes}; expected more than 0`);
  }
  const groups = shardsOf(tensors, maxShardBytes);
  const fileName = (i: number) => {
    const digits = (n: number) => String(n).padStart(5, '0');
    return groups.length === 1
      ? WEIGHTS
      : `model-${digits(i + 1)}-of-${digits(groups.length)}.safetensors`;
  };
  await ensureFolder(folder);
  const written = groups.map((_, i) => fileName(i));
  for (const [i, group] of groups.entries()) {
    await writeFileAtomic(paths().join(folder, fileName(i)), shardContent(group));
  }
  if (groups.length > 1) {
    written.push(WEIGHTS_INDEX);
    const index = indexOf(groups, fileName);
    await writeFileAtomic(
      paths().join(folder, WEIGHTS_INDEX),
      `${JSON.stringify(index, null, 2)}\n`,
    );
  }
  const others = (await listFolder(folder)).filter(
    (name) => isWeightFile(name) && !written.includes(name),
  );
  await removeFiles(folder, others);
}

type Group = ReadonlyMap<string, TensorToWrite>;

function isWeightFile(name: string): boolean {
  return name === WEIGHTS_INDEX || /^model(-\d{5}-of-\d{5})?\.safetensors$/.test(name);
}

function shardsOf(tensors: Group, most: number): readonly Group[] {
  const groups: Map<string, TensorToWrite>[] = [new Map()];
  let bytes = 0;
  for (const [name, tensor] of tensors) {
    const more = storedBytes(tensor);
    if (bytes > 0 && bytes + more > most) {
      groups.push(new Map());
      bytes = 0;
    }
    groups[groups.length - 1].set(name, tensor);
    bytes += more;
  }
  return groups;
}

async function* shardContent(group: Group): AsyncGenerator<Uint8Array> {
  const { start, order } = layOutSafetensors(group, { format: 'pt' });
  yield start;
  for (const name of order) {
    const { dtype, shape, data } = group.get(name) as TensorToWrite;
    yield bytesOf(name, { dtype, shape, data: await data() });
  }
}

function indexOf(groups: readonly Group[], fileName: (i: number) => string) {
  const all = groups.flatMap((group) => [...group.values()]);
  const sum = (measure: (tensor: TensorToWrite) => number) =>
    all.reduce((total, tensor) => total + measure(tensor), 0);
  return {
    metadata: {
      total_parameters: sum((tensor) => storedBytes(tensor) / DTYPES[tensor.dtype].bytes),
      total_size: sum(storedBytes),
    },
    weight_map: Object.fromEntries(
      groups.flatMap((group, i) => [...group.keys()].map((name) => [name, fileName(i)])),
    ),
  };
}
