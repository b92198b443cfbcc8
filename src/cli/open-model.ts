import { loadModel, type Pretrained } from '../models/index.ts';

/** Loads a model that is to read and write text. @throws Error where it has no tokenizer */
export async function openModel(folder: string): Promise<Pretrained> {
  const pretrained = await loadModel(folder);
  if (pretrained.tokenizer) return pretrained;
  pretrained.model.dispose();
  throw new Error(
    `model ${JSON.stringify(folder)} has no tokenizer.json, so it cannot read or write text; ` +
      'expected one beside config.json',
  );
}
