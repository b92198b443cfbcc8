import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadAdapter, loadModel, type Pretrained } from '../models/node.ts';

export interface OpenOptions {
  /** A folder of PEFT's with an adapter of the model. */
  readonly adapter?: string | undefined;
  /** Whether it is to read and write text. */
  readonly needsTokenizer?: boolean;
}

/**
 * Loads a model, with an adapter beside its weights where one is named.
 *
 * @throws Error where it has no tokenizer, if it needs one, or where a folder holds an adapter alone
 */
export async function openModel(
  folder: string,
  { adapter, needsTokenizer = false }: OpenOptions = {},
): Promise<Pretrained> {
  const inside = join(folder, 'adapter');
  if (!existsSync(join(folder, 'config.json')) && existsSync(inside)) {
    throw new Error(
      `model ${JSON.stringify(folder)} holds an adapter alone, since the weights under it are ` +
        `packed; name the model that it was trained on, and --adapter ${inside}`,
    );
  }
  const pretrained = await loadModel(folder);
  try {
    if (adapter !== undefined) await loadAdapter(adapter, pretrained.model);
    if (pretrained.tokenizer || !needsTokenizer) return pretrained;
    throw new Error(
      `model ${JSON.stringify(folder)} has no tokenizer.json, so it cannot read or write text; ` +
        'expected one beside config.json',
    );
  } catch (error) {
    pretrained.model.dispose();
    throw error;
  }
}
