import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import { CharacterTokenizer } from '../../data/index.ts';
import { readTextFile } from '../../data/text-file.ts';
import { complete } from '../../generate/index.ts';
import { ensureFolder } from '../../io/index.ts';
import type { Llama } from '../../models/index.ts';
import { random } from '../../tensor/index.ts';
import { type Length, saveModel, trainLanguageModel } from '../../train/index.ts';
import { characterModel } from '../character-text.ts';
import { interruptible } from '../interrupt.ts';
import { integer, number, seed } from '../options.ts';
import { makeModel } from '../small-model.ts';
import { clock, printJson, trainingView } from '../training-view.ts';

interface TrainOptions {
  readonly out?: string;
  readonly minutes: number;
  readonly steps?: number;
  readonly seed: number;
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  readonly ff?: number;
  readonly context: number;
  readonly batch: number;
  readonly lr: number;
  readonly weightDecay: number;
  readonly json?: boolean;
}

/** Share of a text that is kept for validation: its end. */
const VALIDATION_SHARE = 0.05;

const EXAMPLES = `
Examples:
  tersor train book.txt --out my-model
  tersor train notes.txt --minutes 0.5 --dim 64 --layers 2
  tersor train book.txt --steps 500 --seed 7 --json > log.jsonl`;

export function trainCommand(finish: (code: number) => void): Command {
  return new Command('train')
    .description('train a character model on a text file (UTF-8)')
    .argument('<file>', 'the text to learn')
    .option('-o, --out <folder>', 'save the model there')
    .addOption(
      new Option('-m, --minutes <n>', 'time to train').argParser(number(0, 'open')).default(3),
    )
    .addOption(
      new Option('--steps <n>', 'steps to train: the same result at every run')
        .argParser(integer(1))
        .conflicts('minutes'),
    )
    .option('-s, --seed <n>', 'of the first weights and the order of the text', seed, 1)
    .option('--dim <n>', 'width of the model', integer(2), 96)
    .option('--layers <n>', 'number of layers', integer(1), 3)
    .option('--heads <n>', 'attention heads of a layer', integer(1), 4)
    .option('--ff <n>', 'width within the MLPs (default: 8/3 of the width)', integer(1))
    .option('--context <n>', 'characters that the model sees at once', integer(2), 96)
    .option('--batch <n>', 'sequences of a step', integer(1), 8)
    .option('--lr <rate>', 'highest learning rate', number(0, 'open'), 5e-3)
    .option('--weight-decay <rate>', 'of the matrices', number(0), 0.1)
    .option('--json', 'a line of JSON for every step')
    .addHelpText('after', EXAMPLES)
    .action(async (file: string, options: TrainOptions) => {
      finish(await interruptible((signal) => train(file, options, signal)));
    });
}

async function train(file: string, options: TrainOptions, signal: AbortSignal): Promise<void> {
  const { out, context, json = false } = options;
  const text = await readTextFile(file);
  const tokenizer = CharacterTokenizer.fromText(text);
  const tokens = tokenizer.encode(text);
  if (tokens.length < context + 1) {
    throw new Error(
      `file ${JSON.stringify(file)} has ${tokens.length} characters; expected at least ` +
        `${context + 1}, one more than a sequence. Use a longer text or a smaller --context.`,
    );
  }
  if (out !== undefined) await claimFolder(out);
  random.seed(options.seed);
  const model = makeModel(tokenizer.size, options);
  const name = basename(file);
  const parameters = model.parameterCount();
  const about = { file, characters: tokens.length, vocabulary: tokenizer.size, parameters };
  if (json) printJson('start', about);
  else {
    console.log(
      `${name}: ${tokens.length} characters, ${tokenizer.size} different; ` +
        `a model of ${parameters} parameters`,
    );
  }
  const view = trainingView(json);
  const { train, validation } = split(tokens, context);
  const result = await trainLanguageModel({
    model,
    tokens: train,
    options: {
      ...trainingOptions(options),
      sequence: context,
      validation: validation && { tokens: validation },
    },
    onProgress: (progress) => view.update(progress),
    signal,
  }).finally(() => view.end());
  if (out !== undefined && result.steps > 0) await saveModel(out, model, tokenizer);
  if (json) printJson('result', { ...result, ...(out !== undefined && { out }) });
  const kept = out === undefined ? 'nothing is saved, for want of --out' : `saved in ${out}`;
  if (result.aborted) {
    const state = result.steps > 0 ? `the model so far is ${kept}` : 'nothing is saved';
    const line = out === undefined ? kept : state;
    console.error(`stopped after ${result.steps} steps; ${line}`);
  } else if (!json) {
    const { steps, seconds, validationLoss } = result;
    const measured =
      validationLoss === undefined ? '' : `, validation loss ${validationLoss.toFixed(3)}`;
    console.log(`${steps} steps in ${clock(seconds)}${measured}; ${kept}\n`);
    console.log(`In its own words:\n\n${(await sample(model, tokenizer, signal)).trim()}`);
  }
  model.dispose();
}

function trainingOptions(options: TrainOptions) {
  const { batch, seed, lr, weightDecay, steps, minutes } = options;
  const length: Length = steps === undefined ? { seconds: minutes * 60 } : { steps };
  return { ...length, batch, seed, lr, weightDecay };
}

/** The end of the text is for validation, if both parts are long enough. */
function split(tokens: Int32Array, context: number) {
  const count = Math.floor(tokens.length * VALIDATION_SHARE);
  if (count < context + 1) return { train: tokens, validation: undefined };
  return { train: tokens.subarray(0, -count), validation: tokens.subarray(-count) };
}

/** Makes the folder before the training, so that its end is not the moment to find out. */
export async function claimFolder(folder: string): Promise<void> {
  await ensureFolder(folder);
  const foreign =
    existsSync(join(folder, 'config.json')) && !existsSync(join(folder, 'characters.json'));
  if (!foreign) return;
  throw new Error(
    `--out ${JSON.stringify(folder)} holds another model (config.json without characters.json); ` +
      'expected a new folder, or one with a model of tersor to replace',
  );
}

function sample(model: Llama, tokenizer: CharacterTokenizer, signal: AbortSignal) {
  const start = tokenizer.characters.includes('\n') ? '\n' : (tokenizer.characters[0] ?? '');
  return complete(characterModel(model, tokenizer), start, {
    maxTokens: 200,
    temperature: 0.8,
    topK: 20,
    seed: 1,
    signal,
  });
}
