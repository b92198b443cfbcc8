import type { RunConfig } from '../config/resolve.ts';
import { saveModel } from '../model-folder.ts';
import type { Prepared } from './prepare.ts';

/** Saves what was trained into the run's folder. */
export async function saveResult(
  { out }: RunConfig,
  { model, tokenizer }: Prepared,
): Promise<void> {
  await saveModel(out, model, tokenizer);
}
