import { readFileSync, writeFileSync } from 'node:fs';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { defaultDeviceName } from '../base/env.ts';
import type { DeviceChoice } from '../tensor/index.ts';
import { BENCHES } from './benches.ts';
import { type Clock, THREAD, WALL } from './clock.ts';
import { machine, withResults } from './docs.ts';
import { DEFAULT_TIMING } from './harness.ts';
import type { Measurement } from './measurement.ts';
import { installPeers } from './peers/packages.ts';
import { textTable } from './table.ts';
import { type Chosen, useThreads } from './threads.ts';

const DOCUMENT = new URL('../../docs/benchmarks.md', import.meta.url);

/** In place of a bench: what gets the peers. */
const PEERS = 'peers';

interface Options {
  readonly device: DeviceChoice;
  readonly json: boolean;
  readonly rounds: number;
  readonly threads?: number;
  readonly clock: 'wall' | 'thread';
  readonly writeDocs: boolean;
}

function positiveInteger(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected an integer from 1.');
}

async function measure(name: string, options: Options, command: Command): Promise<void> {
  if (name === PEERS) {
    for (const line of await installPeers()) console.log(line);
    return;
  }
  if (options.writeDocs && name !== 'all') {
    command.error(`error: --write-docs with ${name} would drop the other results; expected all`);
  }
  const benches = BENCHES.filter((bench) => name === 'all' || bench.name === name);
  const clock = options.clock === 'thread' ? THREAD : WALL;
  const timing = { ...DEFAULT_TIMING, rounds: options.rounds, clock };
  const chosen = choose(options, clock, command);
  const results: Measurement[] = [];
  for (const bench of benches) {
    for await (const result of bench.run({ ...chosen, timing })) {
      results.push(result);
      if (options.json) console.log(JSON.stringify(result));
      else console.error(`${result.bench}: ${result.case}`);
    }
  }
  if (!options.json) process.stdout.write(textTable(results));
  if (options.writeDocs) {
    writeFileSync(DOCUMENT, withResults(readFileSync(DOCUMENT, 'utf8'), results, machine(clock)));
  }
}

function choose({ device, threads }: Options, clock: Clock, command: Command): Chosen {
  try {
    return useThreads(device, clock, threads);
  } catch (error) {
    return command.error(`error: ${(error as Error).message}`);
  }
}

/** The command `npm run bench`. */
export function command(): Command {
  const names = [...BENCHES.map((bench) => bench.name), 'all', PEERS];
  const width = Math.max(...names.map((name) => name.length));
  const line = (name: string, summary: string) => `  ${name.padEnd(width)}  ${summary}`;
  const list = [
    ...BENCHES.map(({ name, summary }) => line(name, summary)),
    line('all', 'all of them'),
    line(PEERS, 'measures nothing: installs the libraries to compare with that npm has'),
  ];
  return new Command('npm run bench --')
    .description("Measures beside the machine's limits and beside other libraries.")
    .addArgument(new Argument('<name>', 'the bench to run').choices(names))
    .addOption(
      new Option('--device <name>', 'where to run')
        .choices(['cpu', 'native', 'wasm', 'interpret-kernels', 'interpret'])
        .default(defaultDeviceName() ?? 'cpu'),
    )
    .option('--json', 'one line of JSON for each measurement instead of a table', false)
    .option('--rounds <count>', 'samples of each', positiveInteger, DEFAULT_TIMING.rounds)
    .option(
      '--threads <count>',
      'threads of the device and its peers (default: 2)',
      positiveInteger,
    )
    .addOption(
      new Option('--clock <name>', 'time on the wall, or processor time of the thread')
        .choices(['wall', 'thread'])
        .default('wall'),
    )
    .option('--write-docs', 'put the results into docs/benchmarks.md', false)
    .addHelpText('after', `\nBenches:\n${list.join('\n')}`)
    .action(measure);
}

if (import.meta.main) await command().parseAsync();
