import { Command, CommanderError } from 'commander';
import { debugging } from '../base/env.ts';
import { useProgramCache } from '../io/index.ts';
import { compressCommand } from './commands/compress.ts';
import { doctorCommand } from './commands/doctor.ts';
import { evalCommand } from './commands/eval.ts';
import { generateCommand } from './commands/generate.ts';
import { labCommand } from './commands/lab.ts';
import { serveCommand } from './commands/serve.ts';
import { startCommand } from './commands/start.ts';
import { trainCommand } from './commands/train.ts';
import { version } from './version.ts';

const EXAMPLES = `
Examples:
  tersor start                                 train a small model in three minutes, question it
  tersor train book.txt --out my-model         learn the characters of a text for three minutes
  tersor train book.txt --steps 500 --seed 7   the same weights at every run
  tersor generate my-model "Once upon "        continue a text
  tersor serve my-model                        a chat page, and an API as OpenAI's
  tersor lab lecun1989 --data data             repeat an experiment of a paper
  tersor doctor                                what this machine can do

The environment variable TERSOR_DEBUG=1 shows where an error comes from.`;

/**
 * Runs the command line.
 *
 * @param argv the words after the program's name, as in `process.argv.slice(2)`
 * @returns the exit code: 0, 1 after an error, 130 after Ctrl-C
 */
export async function main(argv: readonly string[]): Promise<number> {
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  useProgramCache();
  let code = 0;
  const finish = (result: number) => {
    code = result;
  };
  const program = new Command('tersor')
    .description('Train, compress and serve language models')
    .version(version())
    .addHelpText('after', EXAMPLES);
  const commands = [
    startCommand,
    trainCommand,
    compressCommand,
    evalCommand,
    generateCommand,
    serveCommand,
    labCommand,
    doctorCommand,
  ];
  for (const command of commands) program.addCommand(command(finish));
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    // Commander has said what is wrong, or has printed what was asked for.
    if (error instanceof CommanderError) return error.exitCode;
    report(error);
    return 1;
  }
}

function report(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  console.error(`error: ${message}`);
  if (debugging(1) && error instanceof Error) console.error(error.stack);
}
