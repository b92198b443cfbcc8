import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Clock } from '../clock.ts';
import type { Contestant } from '../harness.ts';

type Answer = Readonly<Record<string, unknown>>;

/** A peer in a process of its own, which sleeps between its turns. */
export interface Child {
  /** What it said of itself when it was ready. */
  readonly about: Answer;
  /** One line to the process, and its answer. */
  readonly ask: (order: string) => Promise<Answer>;
  /** Work of the process as a contestant: `order` is sent with a count behind it. */
  readonly contestant: (name: string, order?: string) => Contestant;
  readonly close: () => void;
}

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** How long it may take until it is ready. */
  readonly patienceSeconds: number;
}

/**
 * Starts a process that writes a line of JSON when it is ready, and one for each line it is given;
 * for a count of runs that line has the seconds they took as `wall` and as `thread` (processor time
 * of its thread).
 *
 * @throws Error with the last line of its standard error when it ends, or is not ready in time
 */
export async function startChild({ command, args, patienceSeconds }: ChildOptions): Promise<Child> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4096);
  });
  let failure = 'it ended';
  const ended = new Promise<undefined>((resolve) => {
    child.on('error', (error) => {
      failure = error.message;
      resolve(undefined);
    });
    child.on('close', () => resolve(undefined));
  });
  // A process that has ended is noticed by its silence, not by the pipe that it left.
  child.stdin.on('error', () => undefined);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async (): Promise<Answer> => {
    const line = await Promise.race([lines.next(), ended]);
    if (line && !line.done) return JSON.parse(line.value) as Answer;
    await ended;
    throw new Error(errors.trim().split('\n').at(-1) || failure);
  };
  const timer = setTimeout(() => {
    failure = `it was not ready after ${patienceSeconds} seconds`;
    child.kill();
  }, patienceSeconds * 1000);
  try {
    const about = await answer();
    const ask = (order: string): Promise<Answer> => {
      child.kill('SIGCONT');
      child.stdin.write(`${order}\n`);
      return answer();
    };
    const run = async (order: string, count: number, clock: Clock) =>
      Number((await ask(`${order}${count}`))[clock.name]);
    return {
      about,
      ask,
      contestant: (name, order = '') => ({
        name,
        run: async (count, clock) => {
          const seconds = await run(order, count, clock);
          // Threads of some go on spinning long after their work: others must not pay for that.
          child.kill('SIGSTOP');
          return seconds;
        },
      }),
      // Without further orders it comes to its end.
      close: () => {
        child.kill('SIGCONT');
        child.stdin.end();
      },
    };
  } catch (error) {
    child.kill();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** The other side: answers orders, `ORDER COUNT` or a bare count, until standard input ends. */
export async function serveOrders(
  about: Answer,
  run: (order: string) => void | Promise<void>,
): Promise<void> {
  const answer = (values: Answer) => process.stdout.write(`${JSON.stringify(values)}\n`);
  answer(about);
  for await (const line of createInterface(process.stdin)) {
    const [order, count] = line.includes(' ') ? line.split(' ') : ['', line];
    const [start, used] = [performance.now(), process.threadCpuUsage()];
    for (let i = 0; i < Number(count); i++) await run(order);
    const wall = (performance.now() - start) / 1000;
    const { user, system } = process.threadCpuUsage(used);
    answer({ wall, thread: (user + system) / 1e6 });
  }
}
