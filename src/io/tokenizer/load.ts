import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureFolder, writeFileAtomic } from '../files.ts';
import { type HuggingFaceTokenizer, tokenizerFromFiles } from './tokenizer.ts';
import type { Tokenizer } from './types.ts';

/**
 * The tokenizer of a HuggingFace directory: tokenizer.json, and where they are there,
 * tokenizer_config.json, chat_template.jinja, special_tokens_map.json, generation_config.json.
 *
 * @throws Error naming file and field for what is missing or damaged
 */
export async function loadTokenizer(folder: string): Promise<HuggingFaceTokenizer> {
  const read = async (name: string): Promise<string | undefined> => {
    try {
      return await readFile(join(folder, name), 'utf8');
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      throw new Error(`${JSON.stringify(join(folder, name))} could not be read: ${message}`, {
        cause: error,
      });
    }
  };
  const tokenizerJson = await read('tokenizer.json');
  if (tokenizerJson === undefined) {
    throw new Error(
      `folder ${JSON.stringify(folder)} has no tokenizer.json; expected the directory of a ` +
        'HuggingFace model. Check the path; older models are converted with transformers: ' +
        'AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR).',
    );
  }
  return tokenizerFromFiles({
    folder,
    tokenizerJson,
    tokenizerConfig: await read('tokenizer_config.json'),
    chatTemplate: await read('chat_template.jinja'),
    specialTokensMap: await read('special_tokens_map.json'),
    generationConfig: await read('generation_config.json'),
  });
}

/** Writes a tokenizer's files into a folder, each of them atomically. */
export async function saveTokenizer(folder: string, tokenizer: Tokenizer): Promise<void> {
  await ensureFolder(folder);
  for (const [name, content] of tokenizer.files()) {
    await writeFileAtomic(join(folder, name), content);
  }
}
