import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Command } from 'commander';
import { clock } from '../../base/clock.ts';
import { complete } from '../../generate/index.ts';
import type { Tokenizer } from '../../io/index.ts';
import {
  describeMemory,
  isRunFile,
  overlay,
  RUN_FILES,
  type RunAbout,
  type RunConfig,
  type RunOutcome,
  type RunSettings,
  readRunFile,
  resolveRun,
  runTraining,
} from '../../train/index.ts';
import { interruptible } from '../interrupt.ts';
import { type LivePage, type RunEnd, startLivePage } from '../live/live-page.ts';
import { addTrainFlags, settingsOfFlags, type TrainFlags } from '../training-flags.ts';
import { printJson, trainingView } from '../training-view.ts';

const EXAMPLES = `
Examples:
  tersor train book.txt --out my-model           three minutes, character by character
  tersor train book.txt --steps 500 --seed 7     the same weights at every run
  tersor train book.txt --depth 4 --tokenizer bpe
  tersor train run.yaml --lr 0.001               a run as a file; flags override it
  tersor train chat.jsonl --from my-model --lora 8
  tersor train book.txt --precision bf16         mixed precision; what is saved is f32
  tersor train --resume runs/book                go on from the newest checkpoint

A run is a JSON or YAML file with the keys model, tokenizer, data, train, optimizer, schedule, lora,
checkpoints, logs and out. Its folder holds the settings in full (run.json), the model, checkpoints,
metrics.jsonl, TensorBoard's events and the loss curve as loss.svg.`;

export function trainCommand(finish: (code: number) => void): Command {
  return addTrainFlags(
    new Command('train')
      .description('train a model from scratch, or further, on files of your own')
      .argument('[files...]', 'a run (JSON or YAML), or the text or JSONL files to learn from'),
  )
    .addHelpText('after', EXAMPLES)
    .action(async (files: string[], flags: TrainFlags) => {
      finish(await interruptible((signal) => train(files, flags, signal)));
    });
}

async function train(files: string[], flags: TrainFlags, signal: AbortSignal): Promise<void> {
  const { json = false } = flags;
  const config = resolveRun(await gatherSettings(files, flags));
  const view = trainingView(json);
  const live =
    flags.live === undefined
      ? undefined
      : await startLivePage(flags.live === true ? 0 : flags.live);
  if (live) announce(live, json);
  let end: RunEnd = 'failed';
  let skipped: number | undefined;
  const outcome = await runTraining({
    config,
    resume: flags.resume !== undefined,
    overwrite: flags.overwrite ?? false,
    onStart: (about) => {
      live?.describe({ name: config.out, parameters: about.parameters, out: config.out });
      if (json) printJson('start', about);
      else console.log(introduction(about, config));
    },
    onProgress: (progress) => {
      view.update(progress);
      skipped = progress.skippedSteps;
      live?.update(progress);
    },
    warn: (message) => {
      view.end();
      console.error(`warning: ${message}`);
    },
    signal,
  })
    .then((result) => {
      end = result.aborted ? 'stopped' : 'finished';
      return result;
    })
    .finally(async () => {
      view.end();
      await live?.end(end);
    });
  await report(outcome, skipped, json, signal);
  outcome.prepared.model.dispose();
}

function announce({ address }: LivePage, json: boolean): void {
  if (json) printJson('live', { address });
  else console.log(`The run is drawn at ${address}`);
}

/** The run's file below the flags; data files and the folder where they do not say them. */
async function gatherSettings(files: readonly string[], flags: TrainFlags): Promise<RunSettings> {
  const runs = files.filter(isRunFile);
  const paths = files.filter((file) => !isRunFile(file));
  if (runs.length > 1) {
    throw new TypeError(`train: ${runs.join(' and ')} are given; expected one run at a time`);
  }
  const { resume } = flags;
  const [file] = typeof resume === 'string' ? [join(resume, RUN_FILES.config)] : runs;
  let settings = file === undefined ? {} : await readRunFile(file);
  if (paths.length > 0) settings = overlay(settings, { data: { path: paths } });
  const given = await settingsOfFlags(flags);
  settings = overlay(withoutLength(settings, given), given);
  if (typeof resume === 'string') return { ...settings, out: resume };
  if (settings.out !== undefined) return settings;
  return { ...settings, out: freeFolder(file ?? paths[0], resume !== undefined) };
}

/** One way to say how long takes the place of another. */
function withoutLength(settings: RunSettings, { train: given = {} }: RunSettings): RunSettings {
  const { steps, seconds, epochs } = given;
  if (steps === undefined && seconds === undefined && epochs === undefined) return settings;
  const { steps: _steps, seconds: _seconds, epochs: _epochs, ...train } = settings.train ?? {};
  return { ...settings, train };
}

/** `runs/NAME`, or `runs/NAME-2` and so on where that is taken and not to be resumed. */
function freeFolder(file: string | undefined, taken: boolean): string {
  const name = file === undefined ? 'run' : basename(file, extname(file));
  const folder = join('runs', name);
  if (taken) return folder;
  for (let i = 1; ; i++) {
    const candidate = i === 1 ? folder : `${folder}-${i}`;
    if (!existsSync(candidate)) return candidate;
  }
}

function introduction(about: RunAbout, { data, train: { precision } }: RunConfig): string {
  const { vocabulary, parameters, trainable, memory, out, from } = about;
  const { train: counts, validation } = about.data;
  const tokens = counts.tokens + (validation?.tokens ?? 0);
  const names = data.path.map((path) => basename(path)).join(', ');
  const skipped = counts.skipped === 0 ? '' : ` (${counts.skipped} bad lines left out)`;
  const part = trainable === parameters ? '' : `, of which ${trainable} are trained`;
  const mixed = precision === 'f32' ? '' : `, with products in ${precision}`;
  const resumed = from.step === 0 ? '' : `\nIt goes on after step ${from.step}.`;
  return (
    `${names}: ${tokens} tokens${skipped}, ${vocabulary} different; ` +
    `a model of ${parameters} parameters${part}${mixed}\n` +
    `It takes ${describeMemory(memory)}; all is kept in ${out}.${resumed}`
  );
}

/** @param skipped steps whose scaled gradients were not finite, where there is a scale */
async function report(
  outcome: RunOutcome,
  skipped: number | undefined,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  const { prepared, step, seconds, validationLoss, aborted, out } = outcome;
  if (json) {
    const { loss, tokens } = outcome;
    const scaled = skipped === undefined ? {} : { skippedSteps: skipped };
    const result = { steps: step, tokens, seconds, loss, validationLoss, aborted, out, ...scaled };
    printJson('result', result);
  }
  if (aborted) {
    const kept = `the model so far is saved in ${out}: go on by tersor train --resume ${out}`;
    console.error(
      step > 0 ? `stopped after ${step} steps; ${kept}` : 'stopped before a step; nothing is saved',
    );
    return;
  }
  if (json) return;
  const measured =
    validationLoss === undefined ? '' : `, validation loss ${validationLoss.toFixed(3)}`;
  const left = skipped ? `, ${skipped} of them skipped while the scale of the loss was found` : '';
  console.log(`${step} steps${left} in ${clock(seconds)}${measured}; saved in ${out}\n`);
  const { tokenizer } = prepared;
  if (tokenizer.hasChat) {
    console.log(`Talk with it: tersor generate ${out} --chat`);
    return;
  }
  const options = { maxTokens: 200, temperature: 0.8, topK: 20, seed: 1, signal };
  const text = await complete(prepared, beginning(tokenizer), options);
  console.log(`In its own words:\n\n${text.trim()}`);
}

/** A line end where the tokenizer has one, else its first token that says something. */
function beginning(tokenizer: Tokenizer): string {
  try {
    tokenizer.encode('\n');
    return '\n';
  } catch {
    return tokenizer.decode([0]);
  }
}
