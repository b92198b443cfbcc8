import { badArgument } from '../base/errors.ts';
import { type FetchOptions, fetchSource } from '../io/fetch-source.ts';
import { folderSource, isFolder } from '../io/files.ts';
import { url } from '../io/slow-modules.ts';
import { type FileSource, readJsonFrom } from '../io/source.ts';
import type { InitOptions } from '../nn/index.ts';
import type { DeviceChoice } from '../tensor/index.ts';
import { architectureOf } from './architectures.ts';
import { generationFromJson } from './generation-defaults.ts';
import { loadWeights, WEIGHT_TYPES, type WeightType } from './load-weights.ts';
import { quantizationOf } from './quantization-config.ts';
import { tokenizerOf } from './tokenizer-files.ts';
import type { CausalLM, Pretrained } from './types.ts';

export interface LoadOptions {
  readonly device?: DeviceChoice;
  /**
   * How weights lie in memory (default f32, to which 16-bit weights are widened). bf16 and f16 take
   * half of it and are for inference; arithmetic is in f32 all the same.
   */
  readonly dtype?: WeightType;
  /** For models that are loaded by fetch. */
  readonly fetch?: FetchOptions;
}

/**
 * Loads a model as HuggingFace's libraries save it: config.json, weights in safetensors, tokenizer and
 * generation_config.json where there are any.
 *
 * @param place a folder (a path or file: URL, in Node), an address that begins with http (a string or
 *   a URL), or any source of files, such as `memorySource`
 * @example const { model, tokenizer, generation } = await loadModel('my-model');
 * @throws Error that names the file and what is wrong with it: an architecture or a setting that is
 *   not supported, a tensor that is missing, too much or of another shape
 */
export async function loadModel(
  place: string | URL | FileSource,
  options: LoadOptions = {},
): Promise<Pretrained> {
  const { dtype = 'f32' } = options;
  if (!WEIGHT_TYPES.includes(dtype)) {
    throw badArgument('loadModel', 'dtype', dtype, WEIGHT_TYPES.join(', '));
  }
  const source = await sourceOf(place, options.fetch);
  const config = await readJsonFrom(source, 'config.json');
  if (config === undefined) throw await noConfig(source);
  const model = await buildModel(source, config, options);
  try {
    const settings = await readJsonFrom(source, 'generation_config.json');
    const generation = inFile(source, 'generation_config.json', () =>
      generationFromJson(settings, config),
    );
    const tokenizer = await tokenizerOf(source);
    requireVocabulary(source, model, tokenizer?.size);
    return { model, tokenizer, generation };
  } catch (error) {
    model.dispose();
    throw error;
  }
}

async function buildModel(
  source: FileSource,
  config: unknown,
  { device, dtype = 'f32' }: LoadOptions,
): Promise<CausalLM> {
  const init: InitOptions = { init: 'zeros', ...(device !== undefined && { device }) };
  const { architecture, model, quantization } = inFile(source, 'config.json', () => {
    const architecture = architectureOf(config);
    const quantization = quantizationOf(config);
    return { architecture, quantization, model: architecture.build(config, init) };
  });
  try {
    await loadWeights(source, model, { dtype, quantization, nameOf: architecture.nameOf });
  } catch (error) {
    model.dispose();
    throw error;
  }
  return model;
}

async function sourceOf(
  place: string | URL | FileSource,
  fetched: FetchOptions | undefined,
): Promise<FileSource> {
  if (place instanceof URL) {
    if (place.protocol !== 'file:') return fetchSource(place, fetched);
    return sourceOf(url().fileURLToPath(place), fetched);
  }
  if (typeof place !== 'string') return place;
  if (/^https?:\/\//.test(place)) return fetchSource(place, fetched);
  if (await isFolder(place)) return folderSource(place);
  throw new Error(
    `model ${JSON.stringify(place)} is no folder; expected one with config.json and ` +
      'model.safetensors, as `tersor train --out`, saveModel or transformers writes it',
  );
}

async function noConfig(source: FileSource): Promise<Error> {
  const adapter = await source.open('adapter_config.json');
  await adapter?.close();
  return new Error(
    `${JSON.stringify(source.pathOf('config.json'))} does not exist; expected a folder with ` +
      'config.json and model.safetensors, as transformers or saveModel writes it' +
      (adapter ? '. This one holds an adapter: load its base model, then loadAdapter' : ''),
  );
}

/** A table may have more rows than there are tokens, never fewer. */
function requireVocabulary(source: FileSource, model: CausalLM, size: number | undefined): void {
  const { vocab_size: rows } = model.config;
  if (size === undefined || size <= rows) return;
  throw new Error(
    `file ${JSON.stringify(source.pathOf('tokenizer.json'))}: it has ${size} tokens, but vocab_size ` +
      `in config.json is ${rows}; expected as many or fewer. Are the files of the same model?`,
  );
}

/** Says in which file an error was found. */
function inFile<T>(source: FileSource, name: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    const path = JSON.stringify(source.pathOf(name));
    throw new Error(`file ${path}: ${(error as Error).message}`, { cause: error });
  }
}
