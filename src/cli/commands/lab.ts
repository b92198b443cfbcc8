import { Argument, Command } from 'commander';
import { dataFolder } from '../../base/env.ts';
import {
  EXPERIMENTS,
  findExperiment,
  type Report,
  runExperiment,
  verdict,
  writePage,
} from '../../lab/index.ts';
import { interruptible } from '../interrupt.ts';
import { integer } from '../options.ts';
import { table } from '../table.ts';
import { printJson } from '../training-view.ts';

interface LabOptions {
  readonly data?: string;
  readonly seeds?: number;
  readonly quick?: boolean;
  readonly json?: boolean;
  readonly writeDocs?: string;
}

const EXAMPLES = `
Examples:
  tersor lab                               all experiments
  tersor lab lecun1989 --data data         the network of 1989 on the zip-code digits of then
  tersor lab dropout --seeds 2 --json`;

export function labCommand(finish: (code: number) => void): Command {
  return new Command('lab')
    .description("repeat the field's experiments, small, and compare with the papers")
    .addArgument(new Argument('[names...]', 'experiments (default: list them)'))
    .option('--data <folder>', 'with mnist/, usps/ and text/ in it (default: TERSOR_DATA)')
    .option('--seeds <n>', "runs of each (default: the experiment's own)", integer(1, 100))
    .option('--quick', 'tiny sizes: shows that it runs, proves nothing')
    .option('--json', 'each finding as a line of JSON')
    .option('--write-docs <folder>', 'write NAME.md and NAME.svg there')
    .addHelpText('after', EXAMPLES)
    .action(async (names: readonly string[], options: LabOptions) => {
      if (names.length === 0) {
        list(options.json ?? false);
        return;
      }
      finish(await interruptible((signal) => runAll(names, options, signal)));
    });
}

function list(json: boolean): void {
  const rows = EXPERIMENTS.map(({ name, title, claim, paper, seeds }) => {
    return { name, title, claim, paper, seeds };
  });
  if (json) for (const row of rows) printJson('experiment', row);
  else for (const { name, title } of rows) console.log(`${name.padEnd(14)}${title}`);
}

async function runAll(
  names: readonly string[],
  options: LabOptions,
  signal: AbortSignal,
): Promise<void> {
  const { seeds, quick, json = false, writeDocs } = options;
  // All names are looked up before anything runs for minutes.
  const experiments = names.map(findExperiment);
  for (const experiment of experiments) {
    const { name, title, paper, claim } = experiment;
    if (json) printJson('experiment', { name, title, paper, claim });
    else console.log(`${title}\n${paper}\nClaim: ${claim}\n`);
    const report = await runExperiment(experiment, {
      data: options.data ?? dataFolder(),
      seeds,
      quick,
      signal,
      onFinding: (finding) => {
        const { kind, ...content } = finding;
        if (json) printJson(kind, content);
        else if (finding.kind === 'progress') showProgress(finding.text);
      },
    });
    if (!json) console.log(textOf(report));
    if (writeDocs === undefined) continue;
    const files = await writePage(report, writeDocs);
    if (json) printJson('written', { files });
    else console.log(`wrote ${files.join(', ')}`);
  }
}

/** One line that is drawn over on a terminal, a line each time in a pipe. */
function showProgress(text: string): void {
  const { stdout } = process;
  if (!stdout.isTTY) stdout.write(`${text}\n`);
  else stdout.write(`\r${text.slice(0, (stdout.columns ?? 80) - 1)}\u001b[K`);
}

function textOf({ rows, notes, seconds, quick }: Report): string {
  const cells = rows.map((row) => [row.what, row.paper, row.ours, verdict(row)]);
  return [
    process.stdout.isTTY ? '\n' : '',
    table([['', 'paper', 'ours', 'holds'], ...cells]),
    '',
    ...notes.map(({ text }) => text),
    ...(quick ? ['A quick run: it proves nothing.'] : []),
    `${Math.round(seconds)} s`,
  ].join('\n');
}
