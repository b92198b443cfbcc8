import { type FileSource, readText } from '../io/source.ts';
import type { Tokenizer } from '../io/tokenizer/types.ts';

/**
 * The tokenizer of a model's files, or undefined where there is no tokenizer.json. What takes texts
 * apart is loaded only now: a program without texts, or a page without a bundler, never needs it.
 *
 * @throws Error naming file and field for what is damaged or not known
 */
export async function tokenizerOf(source: FileSource): Promise<Tokenizer | undefined> {
  const tokenizerJson = await readText(source, 'tokenizer.json');
  if (tokenizerJson === undefined) return undefined;
  const { tokenizerFromFiles } = await import('../io/tokenizer/tokenizer.ts');
  return tokenizerFromFiles({
    folder: source.pathOf('').replace(/\/$/, ''),
    tokenizerJson,
    tokenizerConfig: await readText(source, 'tokenizer_config.json'),
    chatTemplate: await readText(source, 'chat_template.jinja'),
    specialTokensMap: await readText(source, 'special_tokens_map.json'),
    generationConfig: await readText(source, 'generation_config.json'),
  });
}
