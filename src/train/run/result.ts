import { join } from 'node:path';
import { saveAdapter, saveModel } from '../../models/node.ts';
import { adaptersOf, mergeLora } from '../../nn/index.ts';
import type { RunConfig } from '../config/resolve.ts';
import { RUN_FILES } from './folder.ts';
import { packedOf } from './packed.ts';
import type { Prepared } from './prepare.ts';

/**
 * Saves what was trained into the run's folder: a model, or an adapter and the model it is merged
 * into. Weights that are packed cannot take an adapter in: it is saved alone.
 */
export async function saveResult(config: RunConfig, prepared: Prepared): Promise<void> {
  const { model, tokenizer, generation } = prepared;
  const { out, lora } = config;
  if (adaptersOf(model).size > 0) {
    const base = 'from' in config.model ? config.model.from : undefined;
    await saveAdapter(join(out, RUN_FILES.adapter), model, base);
    if (!lora?.merge || packedOf(model).length > 0) return;
    await mergeLora(model);
  }
  await saveModel(out, { model, tokenizer, generation });
}

/** The files that make a checkpoint a model's folder, too. */
export function modelFiles({ model, tokenizer }: Prepared): Map<string, string> {
  const config = {
    ...model.toConfig(),
    bos_token_id: tokenizer.bosId ?? null,
    eos_token_id: tokenizer.eosIds[0] ?? null,
    torch_dtype: 'float32',
  };
  return new Map([['config.json', `${JSON.stringify(config, null, 2)}\n`], ...tokenizer.files()]);
}
