import { existsSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Llama, type LlamaConfig, saveModel } from '../models/index.ts';
import type { QuantSchemeName } from '../tensor/functions/index.ts';
import type { DeviceName } from '../tensor/index.ts';
import { keptLlama } from './cache.ts';
import { packRandomly } from './random-weights.ts';
import { tokenizerConfigJson, tokenizerJson, vocabulary } from './vocabulary.ts';

/** Writes a llama of random packed weights, with a tokenizer, as a folder. */
export async function writePackedLlama(
  folder: string,
  config: LlamaConfig,
  scheme: QuantSchemeName,
  device: DeviceName,
): Promise<void> {
  const model = new Llama(config, { device });
  try {
    await packRandomly(model, scheme, device);
    await saveModel(folder, { model });
    const tokenizer = tokenizerJson(vocabulary(config.vocab_size));
    await writeFile(join(folder, 'tokenizer.json'), tokenizer);
    await writeFile(join(folder, 'tokenizer_config.json'), tokenizerConfigJson());
  } finally {
    model.dispose();
  }
}

/** Such a folder among what benches keep; written on first use. */
export async function packedLlamaFolder(
  config: LlamaConfig,
  scheme: QuantSchemeName,
  device: DeviceName,
): Promise<string> {
  const folder = keptLlama(config, scheme);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}.part`;
  try {
    await writePackedLlama(unfinished, config, scheme, device);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}
