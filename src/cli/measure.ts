import { Option } from 'commander';
import type { Measured } from '../compress/index.ts';
import { modelSize } from '../compress/index.ts';
import { readTextFile } from '../data/text-file.ts';
import { measureSpeed, PROTOCOLS, type Protocol, perplexity } from '../evaluate/index.ts';
import type { Pretrained } from '../models/index.ts';
import { percentLine } from './percent-line.ts';

/** What `tersor eval` and `tersor compress` measure. */
export interface MeasureOptions {
  /** The text of the perplexity, a file. */
  readonly text?: string;
  readonly protocol: Protocol;
  readonly context?: number;
}

/** The options of the perplexity, shared by the commands. */
export const protocolOption = () =>
  new Option('--protocol <name>', 'how the text is cut and scored')
    .choices(PROTOCOLS)
    .default('windows');

/** Size and speed of a model, and its perplexity where there is a text. */
export async function measure(
  { model, tokenizer }: Pretrained,
  { text: file, protocol, context }: MeasureOptions,
  signal: AbortSignal,
): Promise<Measured> {
  const size = modelSize(model);
  const speed = await measureSpeed(model, { signal });
  if (file === undefined) return { size, speed };
  if (!tokenizer) {
    throw new Error(
      'the model has no tokenizer.json, so a text cannot be read; expected one beside config.json. ' +
        'Leave out --text to measure size and speed alone.',
    );
  }
  const text = await readTextFile(file);
  const line = percentLine('perplexity');
  const measured = await perplexity(model, tokenizer, text, {
    protocol,
    context,
    signal,
    onProgress: line.update,
  }).finally(line.end);
  return { size, speed, perplexity: measured };
}
