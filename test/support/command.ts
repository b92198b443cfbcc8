import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './source-tree.ts';

/** What a command left behind. */
export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `tersor` command. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  /** Resolves with the first line of standard output that holds a text, when it is complete. */
  printed(text: string): Promise<string>;
}

/** Starts the command from its sources, with its output in pipes. */
export function startTersor(args: readonly string[], env: NodeJS.ProcessEnv = {}): Running {
  const launcher = join(ROOT, 'src', 'cli', 'launch.js');
  const child = spawn(process.execPath, [launcher, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  const ended = new Promise<Outcome>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  const printed = (text: string) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const line = stdout
          .split('\n')
          .slice(0, -1)
          .find((each) => each.includes(text));
        if (line !== undefined) resolve(line);
      };
      child.stdout.on('data', look);
      child.on('close', () => reject(new Error(`ended without printing ${text}: ${stderr}`)));
      look();
    });
  return { child, ended, printed };
}

/** Runs the command to its end. */
export function tersor(...args: string[]): Promise<Outcome> {
  return startTersor(args).ended;
}
