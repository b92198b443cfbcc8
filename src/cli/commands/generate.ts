import { Command } from 'commander';
import { generate } from '../../generate/index.ts';
import { loadModel } from '../../models/index.ts';
import { interruptible } from '../interrupt.ts';
import { integer, number, seed } from '../options.ts';

interface GenerateCliOptions {
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly seed: number;
  readonly stop?: string;
}

const EXAMPLES = `
Examples:
  tersor generate my-model "Once upon "
  tersor generate my-model "Once upon " --temperature 0
  tersor generate my-model --max-tokens 500 --top-k 10 --seed 3`;

export function generateCommand(finish: (code: number) => void): Command {
  return new Command('generate')
    .description('continue a text with a saved model')
    .argument('<folder>', 'the model, as `tersor train --out` saved it')
    .argument('[prompt]', 'the text to continue (default: a new line)', '')
    .option('-n, --max-tokens <n>', 'length of the continuation', integer(0), 200)
    .option('-t, --temperature <n>', '0 takes the most probable, more is freer', number(0), 0.8)
    .option('-k, --top-k <n>', 'choose among the n most probable only', integer(1))
    .option('-s, --seed <n>', 'same seed, same text', seed, 1)
    .option('--stop <text>', 'end before this text')
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, prompt: string, options: GenerateCliOptions) => {
      finish(await interruptible((signal) => write(folder, prompt, options, signal)));
    });
}

async function write(
  folder: string,
  prompt: string,
  options: GenerateCliOptions,
  signal: AbortSignal,
): Promise<void> {
  const pretrained = await loadModel(folder);
  const { model, tokenizer } = pretrained;
  if (!tokenizer) {
    model.dispose();
    throw new Error(`model ${JSON.stringify(folder)} has no tokenizer.json; expected one`);
  }
  // A character that the model does not know is told before the prompt is printed.
  tokenizer.encode(prompt);
  process.stdout.write(prompt);
  for await (const piece of generate(pretrained, prompt || '\n', {
    ...options,
    signal,
  })) {
    process.stdout.write(piece);
  }
  process.stdout.write('\n');
  model.dispose();
}
