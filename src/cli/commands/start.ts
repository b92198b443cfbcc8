import { join } from 'node:path';
import { Command, Option } from 'commander';
import {
  answerWeights,
  documentStarts,
  exactMatch,
  generateWorld,
  majorityBaseline,
  NgramModel,
  type Question,
  type World,
} from '../../data/index.ts';
import { answerAll, createEngine, type TextEngine } from '../../generate/index.ts';
import { characterTokenizer, writeFileAtomic } from '../../io/index.ts';
import { saveModel } from '../../models/index.ts';
import { random } from '../../tensor/index.ts';
import { type Length, type ModelSizes, makeModel, trainLanguageModel } from '../../train/index.ts';
import { claimFolder, START_FILE } from '../claim-folder.ts';
import { type Answers, examplesText, scoreTable } from '../demo-report.ts';
import { interruptible } from '../interrupt.ts';
import { integer, number, seed } from '../options.ts';
import { clock, printJson, trainingView } from '../training-view.ts';

interface StartOptions {
  readonly minutes?: number;
  readonly steps?: number;
  readonly seed: number;
  readonly quick?: boolean;
  readonly out?: string;
  readonly json?: boolean;
}

/** What the demonstration trains, and how it asks. */
interface Setting extends ModelSizes {
  readonly batch: number;
  readonly lr: number;
  readonly minutes: number;
  readonly questions: number;
}

const FULL: Setting = {
  dim: 64,
  layers: 3,
  heads: 4,
  context: 80,
  batch: 8,
  lr: 5e-3,
  minutes: 2.7,
  questions: Number.POSITIVE_INFINITY,
};

/** Shows within seconds that everything works; the answers are not worth reading. */
const QUICK: Setting = {
  ...FULL,
  dim: 32,
  layers: 2,
  heads: 2,
  minutes: 0.05,
  questions: 16,
};

const EXAMPLES = `
Examples:
  tersor start
  tersor start --minutes 3 --out my-model
  tersor start --quick`;

export function startCommand(finish: (code: number) => void): Command {
  return new Command('start')
    .description('train a small model on a small world, then ask it what it has not been told')
    .option('-m, --minutes <n>', `time to train (default: ${FULL.minutes})`, number(0, 'open'))
    .addOption(
      new Option('--steps <n>', 'steps to train: the same result at every run')
        .argParser(integer(1))
        .conflicts('minutes'),
    )
    .option('-s, --seed <n>', 'of the text and the first weights', seed, 1)
    .option('-q, --quick', 'a few seconds only, to see that it works')
    .option('-o, --out <folder>', 'save the model there')
    .option('--json', 'lines of JSON instead of text')
    .addHelpText('after', EXAMPLES)
    .action(async (options: StartOptions) => {
      finish(await interruptible((signal) => start(options, signal)));
    });
}

async function start(options: StartOptions, signal: AbortSignal): Promise<void> {
  const { out, json = false } = options;
  const setting = options.quick ? QUICK : FULL;
  if (out !== undefined) await claimFolder(out);
  const world = generateWorld({ seed: options.seed });
  const tokenizer = characterTokenizer(world.train);
  const say = json ? () => {} : console.log;
  random.seed(options.seed);
  const model = makeModel(tokenizer.size, setting);
  const { steps: wanted, minutes = setting.minutes } = options;
  const length: Length = wanted === undefined ? { seconds: minutes * 60 } : { steps: wanted };
  const time = 'seconds' in length ? `${Math.round(length.seconds)} seconds` : `${wanted} steps`;
  say(
    `A small world of ${world.train.length} characters: facts, sums, opposites and stories.\n` +
      `A model of ${model.parameterCount()} parameters reads it for ${time}.\n`,
  );
  const view = trainingView(json);
  const result = await trainLanguageModel({
    model,
    tokens: tokenizer.encode(world.train),
    options: {
      ...length,
      batch: setting.batch,
      sequence: setting.context,
      seed: options.seed,
      lr: setting.lr,
      ...shape(world.train),
      validation: { tokens: tokenizer.encode(world.validation), ...shape(world.validation) },
    },
    onProgress: (progress) => view.update(progress),
    signal,
  }).finally(() => view.end());
  if (out !== undefined && result.steps > 0) {
    await saveModel(out, { model, tokenizer });
    await writeFileAtomic(join(out, START_FILE), `${JSON.stringify({ ...options, setting })}\n`);
  }
  if (result.aborted) {
    const kept =
      out !== undefined && result.steps > 0 ? `; the model so far is saved in ${out}` : '';
    console.error(`stopped after ${result.steps} steps${kept}`);
    return;
  }
  const { validationLoss, steps } = result;
  const measured =
    validationLoss === undefined ? '' : `, validation loss ${validationLoss.toFixed(3)}`;
  say(`\n${steps} steps in ${clock(result.seconds)}${measured}.`);
  const engine = createEngine({ model, tokenizer, generation: {} }, { slots: 16 });
  let sample = '';
  for await (const { text } of engine.generate({
    prompt: 'eva ',
    temperature: 0.7,
    seed: options.seed,
    stop: '\n\n',
    signal,
  })) {
    sample += text;
  }
  say(`\nIn its own words:\n\n${indent(`eva ${sample}`)}\n`);
  const answers = await ask(world, engine, chosen(world.questions, setting.questions), signal);
  if (json) printJson('result', { ...result, sample: `eva ${sample}`, ...summary(answers) });
  else {
    const { length } = answers.questions;
    say(`${length} questions that it was never asked, answered right to the last letter:\n`);
    say(`${indent(scoreTable(answers))}\n\n${examplesText(answers)}`);
  }
  if (out !== undefined) say(`\nThe model is saved in ${out}: try tersor generate ${out} "Q: "`);
  await engine.close();
  model.dispose();
}

/** Sequences are whole documents, and what is learnt are the answers. */
function shape(text: string): { starts: Int32Array; weights: Float32Array } {
  return { starts: documentStarts(text), weights: answerWeights(text) };
}

/** At most `count` questions, evenly out of all of them. */
function chosen(questions: readonly Question[], count: number): readonly Question[] {
  const stride = Math.max(1, questions.length / count);
  return questions.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));
}

/** Asks the model and the two baselines. */
async function ask(
  world: World,
  engine: TextEngine,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<Answers> {
  const ngram = new NgramModel(world.train);
  const guesses = questions.map(({ prompt }) => ngram.complete(prompt));
  const maxTokens = 1 + Math.max(...questions.map(({ answer }) => answer.length));
  const answers = await answerAll(
    engine,
    questions.map(({ prompt }) => prompt),
    { maxTokens, signal },
  );
  const given = (list: readonly string[]) => (question: Question) =>
    list[questions.indexOf(question)] ?? '';
  return {
    questions,
    model: exactMatch(questions, given(answers)),
    ngram: exactMatch(questions, given(guesses)),
    majority: exactMatch(questions, majorityBaseline(world.examples)),
  };
}

function summary({ model, ngram, majority }: Answers) {
  const { all, byKind } = model;
  return {
    exactMatch: {
      model: all.share,
      ngram: ngram.all.share,
      majority: majority.all.share,
      byKind: Object.fromEntries([...byKind].map(([kind, score]) => [kind, score.share])),
    },
  };
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
