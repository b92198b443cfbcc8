import { readFileSync } from 'node:fs';
import { Command } from 'commander';

/** The version in package.json, which lies two folders up from src/cli and from dist/cli alike. */
function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/**
 * Runs the command line.
 *
 * @param argv the words after the program's name, as in `process.argv.slice(2)`
 */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command('tersor')
    .description('Train, compress and serve language models')
    .version(version());
  await program.parseAsync(argv, { from: 'user' });
}
