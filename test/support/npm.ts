import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';

/** How a command ended. */
export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program of the Node that runs the tests: `args` as they follow `node`, `more` beside what is
 * in the environment.
 */
export function runNode(
  args: readonly string[],
  cwd: string,
  more: Readonly<Record<string, string>> = {},
): Outcome {
  const env = { ...process.env, ...more };
  return outcome(
    spawnSync(process.execPath, args, { cwd, env, encoding: 'utf8', timeout: 60_000 }),
  );
}

/**
 * Runs npm, without the network's help: with what `npm test` hands down to its children taken out
 * of the environment, so that the command acts on `cwd` and not on the repository.
 *
 * @throws where npm fails, with its output
 */
export function runNpm(args: readonly string[], cwd: string): string {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!execpath$)/i.test(name)),
  );
  env['PATH'] =
    `${dirname(process.execPath)}${process.platform === 'win32' ? ';' : ':'}${env['PATH']}`;
  const given = process.env['npm_execpath'];
  const quiet = ['--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];
  const options = { cwd, env, encoding: 'utf8', timeout: 60_000 } as const;
  const run =
    given !== undefined && /npm-cli\.c?js$/.test(given)
      ? outcome(spawnSync(process.execPath, [given, ...args, ...quiet], options))
      : outcome(spawnSync('npm', [...args, ...quiet], options));
  if (run.status !== 0) throw new Error(`npm ${args.join(' ')}\n${run.stdout}${run.stderr}`);
  return run.stdout;
}

/** Packs the package in `folder` as it stands, without its scripts; the tarball's path. */
export function pack(folder: string, into: string): string {
  const out = runNpm(['pack', folder, '--ignore-scripts', '--pack-destination', into], into);
  return join(into, out.trim().split('\n').at(-1)!);
}

function outcome({ status, stdout, stderr, error }: SpawnSyncReturns<string>): Outcome {
  if (error) throw error;
  return { status, stdout, stderr };
}
