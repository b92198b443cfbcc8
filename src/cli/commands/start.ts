import { join } from 'node:path';
import { Command, Option } from 'commander';
import { clock } from '../../base/clock.ts';
import { compressModel } from '../../compress/index.ts';
import {
  exactMatch,
  generateWorld,
  majorityBaseline,
  NgramModel,
  type Question,
  type World,
} from '../../data/index.ts';
import { saveModel } from '../../models/node.ts';
import { requireFreePort } from '../../serve/index.ts';
import {
  type RunOutcome,
  type RunSettings,
  readRunFile,
  resolveRun,
  runTraining,
} from '../../train/index.ts';
import { examine } from '../demo/examine.ts';
import { demoRun, writeDemoFiles } from '../demo/files.ts';
import {
  checkpointIn,
  folderToResume,
  newFolder,
  readDemoFile,
  runFileOf,
  writeDemoFile,
} from '../demo/folder.ts';
import { type DemoResult, demoSummary, demoTable, examplesText } from '../demo/report.ts';
import { FULL, QUICK } from '../demo/setting.ts';
import { interruptible } from '../interrupt.ts';
import { integer, number, seed } from '../options.ts';
import { serveModel } from '../serving.ts';
import { printJson, trainingView } from '../training-view.ts';

interface StartOptions {
  readonly minutes?: number;
  readonly steps?: number;
  readonly seed: number;
  readonly quick?: boolean;
  readonly resume?: boolean;
  readonly out?: string;
  readonly port?: number;
  readonly serve: boolean;
  readonly json?: boolean;
}

const PORT = 8080;

const EXAMPLES = `
Examples:
  tersor start                      corpus, training, int4, a table, a chat page
  tersor start --quick              the same in seconds; its answers are not worth reading
  tersor start --resume             go on after Ctrl-C, or chat again without training
  tersor start --minutes 5 --out my-model --port 3000`;

export function startCommand(finish: (code: number) => void): Command {
  return new Command('start')
    .description('the whole road: train a small model, pack it, question it, talk with it')
    .option('-m, --minutes <n>', `time to train (default: ${FULL.minutes})`, number(0, 'open'))
    .addOption(
      new Option('--steps <n>', 'steps to train: the same result at every run')
        .argParser(integer(1))
        .conflicts('minutes'),
    )
    .option('-s, --seed <n>', 'of the text and the first weights', seed, 1)
    .option('-q, --quick', 'a few seconds only, to see that it works')
    .option('-r, --resume', 'go on with the newest run, or that of --out')
    .option('-o, --out <folder>', 'where everything is kept (default: runs/start)')
    .option(
      '-p, --port <n>',
      `of the chat page (default: ${PORT}, or a free one)`,
      integer(0, 65535),
    )
    .option('--no-serve', 'end after the table')
    .option('--json', 'lines of JSON instead of text')
    .addHelpText('after', EXAMPLES)
    .action(async (options: StartOptions) => {
      finish(await interruptible((signal) => start(options, signal)));
    });
}

async function start(options: StartOptions, signal: AbortSignal): Promise<void> {
  const { json = false } = options;
  const say = json ? () => {} : console.log;
  // Asked for before minutes of training, so that its end is not the moment to find out.
  if (options.serve && options.port) await requireFreePort('127.0.0.1', options.port);
  const folder = options.resume ? folderToResume(options.out) : await newFolder(options.out, warn);
  const { seed, quick } = options.resume
    ? await readDemoFile(folder)
    : { seed: options.seed, quick: options.quick ?? false };
  const setting = quick ? QUICK : FULL;
  const world = generateWorld({ seed, characters: setting.characters });
  const isBegun = options.resume === true && (await checkpointIn(folder)) !== undefined;
  if (!options.resume) {
    await writeDemoFiles(folder, world, setting);
    await writeDemoFile(folder, { seed, quick });
  }
  const settings = isBegun
    ? await readRunFile(runFileOf(folder))
    : demoRun(folder, setting, {
        seed,
        length: lengthOf(options) ?? { seconds: 60 * setting.minutes },
      });
  const outcome = await train(
    withLength(settings, lengthOf(options)),
    isBegun,
    folder,
    json,
    signal,
  );
  if (outcome.aborted) {
    console.error(
      `stopped after ${outcome.step} steps; go on by tersor start --resume --out ${folder}`,
    );
    return;
  }
  const { prepared } = outcome;
  say(`\n${outcome.step} steps in ${clock(outcome.seconds)}; all of it is kept in ${folder}.\n`);
  const result = await examineAll(
    prepared,
    world,
    chosen(world.questions, setting.questions),
    signal,
  );
  const packed = join(folder, 'int4');
  await saveModel(packed, prepared);
  if (json) printJson('result', { folder, ...demoSummary(result) });
  else {
    say(
      `${result.questions.length} questions that it was never asked, right to the last letter:\n`,
    );
    say(`${indent(demoTable(result))}\n\n${examplesText(result)}\n`);
  }
  try {
    if (options.serve) await chat(prepared, options, signal);
    else say(`Talk with it: tersor serve ${packed}`);
  } finally {
    prepared.model.dispose();
  }
}

type Length = { readonly steps: number } | { readonly seconds: number };

/** How long to train, where the command line says it. */
function lengthOf({ steps, minutes }: StartOptions): Length | undefined {
  if (steps !== undefined) return { steps };
  return minutes === undefined ? undefined : { seconds: 60 * minutes };
}

function withLength(settings: RunSettings, length: Length | undefined): RunSettings {
  if (!length) return settings;
  const { steps: _steps, seconds: _seconds, ...train } = settings.train ?? {};
  return { ...settings, train: { ...train, ...length } };
}

/** Trains as `tersor train` would with the same files. */
async function train(
  settings: RunSettings,
  resume: boolean,
  folder: string,
  json: boolean,
  signal: AbortSignal,
): Promise<RunOutcome> {
  const view = trainingView(json);
  return runTraining({
    config: resolveRun(settings),
    resume,
    onStart: ({ data, vocabulary, parameters, from }) => {
      if (json) printJson('start', { folder, data, vocabulary, parameters, from });
      else console.log(introduction(data.train, vocabulary, parameters, from.step));
    },
    onProgress: (progress) => view.update(progress),
    warn: (what) => {
      view.end();
      warn(what);
    },
    signal,
  }).finally(() => view.end());
}

function introduction(
  { documents, tokens }: RunOutcome['prepared']['data']['train'],
  vocabulary: number,
  parameters: number,
  step: number,
): string {
  const again = step > 0 ? `It goes on after step ${step}.\n` : '';
  return (
    `A small world: ${documents} conversations about facts, sums, opposites and stories,\n` +
    `${tokens} tokens of ${vocabulary} kinds. A model of ${parameters} parameters learns them.\n${again}`
  );
}

/** The model as it was trained, the same one packed, and the two baselines. */
async function examineAll(
  prepared: RunOutcome['prepared'],
  world: World,
  questions: readonly Question[],
  signal: AbortSignal,
): Promise<DemoResult> {
  const f32 = await examine(prepared, questions, signal);
  await compressModel(prepared.model, { scheme: 'int4-g32', signal });
  const int4 = await examine(prepared, questions, signal);
  const ngram = new NgramModel(world.train);
  return {
    questions,
    f32,
    int4,
    ngram: exactMatch(questions, ({ prompt }) => ngram.complete(prompt)),
    majority: exactMatch(questions, majorityBaseline(world.examples)),
  };
}

async function chat(
  prepared: RunOutcome['prepared'],
  { port, json }: StartOptions,
  signal: AbortSignal,
): Promise<void> {
  const free = await requireFreePort('127.0.0.1', port ?? PORT).then(
    () => port ?? PORT,
    (error: Error) => {
      if (port !== undefined) throw error;
      warn(`port ${PORT} is taken; a free one is used instead`);
      return 0;
    },
  );
  await serveModel(prepared, { name: 'small-world', port: free, ...(json && { json }) }, signal);
}

/** At most `count` questions, evenly out of all of them. */
function chosen(questions: readonly Question[], count: number): readonly Question[] {
  const stride = Math.max(1, questions.length / count);
  return questions.filter((_, i) => Math.floor(i / stride) !== Math.floor((i - 1) / stride));
}

function warn(what: string): void {
  console.error(`warning: ${what}`);
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
