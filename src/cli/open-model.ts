import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel, type Pretrained } from '../models/index.ts';
import { loadModel as loadCharacterModel } from '../train/index.ts';
import { characterModel } from './character-text.ts';

/** A model that can write: a HuggingFace folder, or one of characters as older versions saved it. */
export async function openModel(folder: string): Promise<Pretrained> {
  if (existsSync(join(folder, 'characters.json')) && !existsSync(join(folder, 'tokenizer.json'))) {
    const { model, tokenizer } = await loadCharacterModel(folder);
    return characterModel(model, tokenizer);
  }
  const pretrained = await loadModel(folder);
  if (pretrained.tokenizer) return pretrained;
  pretrained.model.dispose();
  throw new Error(
    `model ${JSON.stringify(folder)} has no tokenizer.json, so it cannot read or write text; ` +
      'expected one beside config.json',
  );
}
