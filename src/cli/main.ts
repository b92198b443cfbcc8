import { Command, CommanderError } from 'commander';
import { debugging } from '../base/env.ts';
import { version } from './version.ts';

type MakeCommand = (finish: (code: number) => void) => Command;

/** Each is loaded when it is called: none waits for what another one needs. */
const COMMANDS: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  start: async () => (await import('./commands/start.ts')).startCommand,
  train: async () => (await import('./commands/train.ts')).trainCommand,
  compress: async () => (await import('./commands/compress.ts')).compressCommand,
  eval: async () => (await import('./commands/eval.ts')).evalCommand,
  generate: async () => (await import('./commands/generate.ts')).generateCommand,
  serve: async () => (await import('./commands/serve.ts')).serveCommand,
  lab: async () => (await import('./commands/lab.ts')).labCommand,
  doctor: async () => (await import('./commands/doctor.ts')).doctorCommand,
};

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
  let code = 0;
  const finish = (result: number) => {
    code = result;
  };
  const program = new Command('tersor')
    .description('Train, compress and serve language models')
    .version(version())
    .addHelpText('after', EXAMPLES);
  const commands = commandsFor(argv[0]);
  if (commands.length > 0) (await import('../io/use-program-cache.ts')).useProgramCache();
  for (const load of commands) program.addCommand((await load())(finish));
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

/** The command that is called; all of them where help, or a guess at what was meant, names them. */
function commandsFor(word: string | undefined): readonly (() => Promise<MakeCommand>)[] {
  if (word !== undefined && Object.hasOwn(COMMANDS, word)) return [COMMANDS[word]];
  if (word === '--version' || word === '-V') return [];
  return Object.values(COMMANDS);
}

function report(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  console.error(`error: ${message}`);
  if (debugging(1) && error instanceof Error) console.error(error.stack);
}
