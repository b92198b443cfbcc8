import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CharacterTokenizer } from '../data/index.ts';
import {
  ensureFolder,
  readJson,
  readSafetensors,
  type StoredTensor,
  writeFileAtomic,
  writeSafetensors,
} from '../io/index.ts';
import { Llama } from '../models/index.ts';
import { type DeviceChoice, tensor } from '../tensor/index.ts';
import { configFromJson, configToJson } from './model-config.ts';

/** The files of a model: two of them as HuggingFace has them, and the tokenizer in our own form. */
const CONFIG = 'config.json';
const WEIGHTS = 'model.safetensors';
const CHARACTERS = 'characters.json';

/** A character model as it is saved. */
export interface SavedModel {
  readonly model: Llama;
  readonly tokenizer: CharacterTokenizer;
}

/** Saves a model into a folder, which is made if it is not there; each file is written whole. */
export async function saveModel(
  folder: string,
  model: Llama,
  tokenizer: CharacterTokenizer,
): Promise<void> {
  const tensors = new Map<string, StoredTensor>();
  for (const [name, parameter] of model.parameters()) {
    const { held } = parameter;
    tensors.set(name, {
      dtype: held.dtype,
      shape: held.shape as readonly number[],
      data: await held.data(),
    });
  }
  await ensureFolder(folder);
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  await writeSafetensors(join(folder, WEIGHTS), tensors, { format: 'pt' });
  await writeFileAtomic(join(folder, CHARACTERS), json(tokenizer.toJSON()));
  await writeFileAtomic(join(folder, CONFIG), json(configToJson(model.config)));
}

/**
 * Loads what `saveModel` saved.
 *
 * @throws Error that names the file and what is wrong with it
 */
export async function loadModel(
  folder: string,
  options: { readonly device?: DeviceChoice } = {},
): Promise<SavedModel> {
  requireFiles(folder);
  const config = await inFile(folder, CONFIG, async (path) => configFromJson(await readJson(path)));
  const tokenizer = await inFile(folder, CHARACTERS, async (path) => {
    return CharacterTokenizer.fromJSON(await readJson(path));
  });
  if (tokenizer.size !== config.vocab_size) {
    throw new Error(
      `model ${JSON.stringify(folder)}: ${CHARACTERS} has ${tokenizer.size} characters, but ` +
        `vocab_size in ${CONFIG} is ${config.vocab_size}; expected the same. The files are of ` +
        'different models: save it again.',
    );
  }
  const { tensors } = await readSafetensors(join(folder, WEIGHTS));
  const model = new Llama(config, options);
  try {
    await inFile(folder, WEIGHTS, async () => setWeights(model, tensors));
  } catch (error) {
    model.dispose();
    throw error;
  }
  return { model, tokenizer };
}

function requireFiles(folder: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (!found?.isDirectory()) {
    throw new Error(
      `model ${JSON.stringify(folder)} ${found ? 'is not a folder' : 'does not exist'}; expected ` +
        'a folder that `tersor train --out` or saveModel wrote',
    );
  }
  const missing = [CONFIG, WEIGHTS, CHARACTERS].filter((name) => !existsSync(join(folder, name)));
  if (missing.length === 0) return;
  throw new Error(
    `model ${JSON.stringify(folder)} has no ${missing.join(', ')}; expected a folder that ` +
      '`tersor train --out` or saveModel wrote. Other models cannot be loaded yet.',
  );
}

/** Says in which file an error was found. */
async function inFile<T>(
  folder: string,
  name: string,
  body: (path: string) => Promise<T>,
): Promise<T> {
  const path = join(folder, name);
  try {
    return await body(path);
  } catch (error) {
    const { message } = error as Error;
    if (message.includes(JSON.stringify(path))) throw error;
    throw new Error(`file ${JSON.stringify(path)}: ${message}`, { cause: error });
  }
}

function setWeights(model: Llama, stored: ReadonlyMap<string, StoredTensor>): void {
  const parameters = model.parameters();
  for (const name of stored.keys()) {
    if (!parameters.has(name)) {
      throw new Error(`it holds ${name}, which a model of this ${CONFIG} does not have`);
    }
  }
  for (const [name, parameter] of parameters) {
    const found = stored.get(name);
    if (!found) throw new Error(`${name} is missing; expected it as in a model of this ${CONFIG}`);
    const is = `${found.dtype}[${found.shape.join(', ')}]`;
    const wanted = `${parameter.dtype}[${parameter.shape.join(', ')}]`;
    if (is !== wanted) throw new Error(`${name} is ${is}; expected ${wanted} by ${CONFIG}`);
    const { device } = parameter.held;
    const value = tensor(found.data, { dtype: found.dtype, shape: found.shape, device });
    parameter.set(value);
    value.dispose();
  }
}
