import { type TensorToWrite, writeCheckpoint } from '../io/checkpoint.ts';
import { writeFileAtomic } from '../io/files.ts';
import { path as paths } from '../io/slow-modules.ts';
import type { Tokenizer } from '../io/tokenizer/types.ts';
import { adaptersOf, PackedWeight } from '../nn/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import type { Parameter, Tensor } from '../tensor/index.ts';
import { generationToJson, idsToJson } from './generation-defaults.ts';
import { matricesOf } from './packed.ts';
import { quantizationToJson } from './quantization-config.ts';
import type { CausalLM, GenerationDefaults } from './types.ts';

/** Types that weights may have in a file, with transformers' names for them. */
const TYPES = { f32: 'float32', bf16: 'bfloat16', f16: 'float16' } as const;

export interface SaveOptions {
  readonly model: CausalLM;
  readonly tokenizer?: Tokenizer | undefined;
  readonly generation?: GenerationDefaults | undefined;
  /** Type of the weights in the files, rounded to the nearest (default f32, as they are). */
  readonly dtype?: keyof typeof TYPES;
  /** Larger models are written in several files (default 5e9). */
  readonly maxShardBytes?: number;
}

/**
 * Saves a model as a folder that `loadModel` and transformers load; packed weights, which transformers
 * does not know, are written as NAME.codes and NAME.scales in panels, as products read them. Each file is written whole or not at all,
 * config.json last: to replace a model in one step, save beside it and rename the folder.
 *
 * @throws Error naming the file that cannot be written, or the weight that `dtype` cannot hold
 * @throws TypeError for a model with LoRA adapters
 */
export async function saveModel(folder: string, options: SaveOptions): Promise<void> {
  const { model, tokenizer, generation = {}, dtype = 'f32', maxShardBytes } = options;
  if (!Object.hasOwn(TYPES, dtype)) {
    throw new TypeError(`saveModel: dtype is ${String(dtype)}; expected f32, bf16 or f16`);
  }
  if (adaptersOf(model).size > 0) {
    throw new TypeError(
      'saveModel: the model has LoRA adapters; merge them with mergeLora, or save them alone with ' +
        'saveAdapter',
    );
  }
  const packed = packedOf(model);
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, parameter] of model.parameters()) {
    tensors.set(name, rounded(name, parameter, dtype));
  }
  for (const [name, weight] of packed) {
    const { codes, scales } = weight.panels();
    tensors.set(`${name}.codes`, asItIs(codes));
    tensors.set(`${name}.scales`, asItIs(scales));
  }
  const eosIds = generation.eosIds ?? tokenizer?.eosIds;
  const config = {
    ...model.toConfig(),
    bos_token_id: tokenizer?.bosId ?? null,
    eos_token_id: idsToJson(eosIds) ?? null,
    torch_dtype: TYPES[dtype],
    ...quantizationOf(model, packed),
  };
  const write = async (name: string, content: string) =>
    writeFileAtomic(paths().join(folder, name), content);
  await writeCheckpoint(folder, tensors, maxShardBytes === undefined ? {} : { maxShardBytes });
  for (const [name, content] of tokenizer?.files() ?? []) await write(name, content);
  const withEnds = eosIds ? { ...generation, eosIds } : generation;
  await write('generation_config.json', json(generationToJson(withEnds, tokenizer?.bosId)));
  await write('config.json', json(config));
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function packedOf(model: CausalLM): Map<string, PackedWeight> {
  const found = new Map<string, PackedWeight>();
  for (const [name, { weight }] of matricesOf(model)) {
    if (weight instanceof PackedWeight) found.set(name, weight);
  }
  return found;
}

function quantizationOf(model: CausalLM, packed: ReadonlyMap<string, PackedWeight>) {
  const counts = new Map<QuantSchemeName, number>();
  for (const { scheme } of packed.values()) counts.set(scheme, (counts.get(scheme) ?? 0) + 1);
  const [most] = [...counts].sort(([, a], [, b]) => b - a);
  if (!most) return {};
  const [scheme] = most;
  const exceptions = new Map(
    [...packed]
      .filter(([, weight]) => weight.scheme !== scheme)
      .map(([name, weight]) => [layerOf(name), weight.scheme] as const),
  );
  const unpacked = [...matricesOf(model).keys()].filter((name) => !packed.has(name));
  const config = { scheme, exceptions };
  return { quantization_config: quantizationToJson(config, unpacked.map(layerOf)) };
}

function layerOf(name: string): string {
  return name.replace(/\.weight$/, '');
}

function asItIs(value: Tensor): TensorToWrite {
  return {
    dtype: value.dtype,
    shape: value.shape as readonly number[],
    data: () => value.data().finally(() => value.dispose()),
  };
}

/** A parameter in the type of the file. */
function rounded(name: string, parameter: Parameter, dtype: keyof typeof TYPES): TensorToWrite {
  const shape = parameter.shape as readonly number[];
  return {
    dtype,
    shape,
    data: async () => {
      const { held } = parameter;
      if (held.dtype === dtype) return held.data();
      const narrow = held.cast(dtype);
      const data = await narrow.data();
      narrow.dispose();
      if (dtype === 'f16') requireFinite(name, data);
      return data;
    },
  };
}

/** Numbers beyond 65504 have become infinite. */
function requireFinite(name: string, halves: ArrayLike<number>): void {
  for (let i = 0; i < halves.length; i++) {
    if ((halves[i] & 0x7fff) !== 0x7c00) continue;
    throw new RangeError(
      `saveModel: ${name} holds a number beyond the range of f16, 65504; save it as bf16 or f32`,
    );
  }
}
