import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../clock.ts';
import type { Contestant } from '../harness.ts';
import type { Reference } from '../reference-model.ts';

const SCRIPT = fileURLToPath(new URL('pytorch.py', import.meta.url));

export interface PyTorchOptions {
  readonly threads: number;
  /** Whether the model goes through torch.compile. */
  readonly compile: boolean;
  /** How long the first step may take, compilation included. */
  readonly patienceSeconds: number;
}

export interface PyTorch {
  readonly contestant: Contestant;
  readonly parameters: number;
  readonly version: string;
  readonly close: () => void;
}

/** The Python to look in for PyTorch: TERSOR_PYTHON, else python3. */
function python(): string {
  return process.env['TERSOR_PYTHON'] || 'python3';
}

/**
 * The training step in PyTorch, in a process of its own that sleeps between its turns. Undefined
 * where there is no Python with PyTorch, or where it is not ready in time.
 */
export async function openPyTorch(
  { config, batch, time }: Reference,
  { threads, compile, patienceSeconds }: PyTorchOptions,
): Promise<PyTorch | undefined> {
  const options = {
    hidden: config.hidden_size,
    intermediate: config.intermediate_size,
    vocabulary: config.vocab_size,
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    batch,
    time,
    threads,
    compile,
  };
  const child = spawn(python(), [SCRIPT, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const ended = new Promise<undefined>((resolve) => {
    child.on('error', () => resolve(undefined));
    child.on('close', () => resolve(undefined));
  });
  // A process that has ended is noticed by its silence, not by the pipe that it left.
  child.stdin.on('error', () => undefined);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const answer = async (): Promise<Record<string, unknown> | undefined> => {
    const line = await Promise.race([lines.next(), ended]);
    return line && !line.done ? JSON.parse(line.value) : undefined;
  };
  const timer = setTimeout(() => child.kill(), patienceSeconds * 1000);
  const ready = await answer();
  clearTimeout(timer);
  if (!ready) {
    child.kill();
    return undefined;
  }
  const run = async (count: number, clock: Clock): Promise<number> => {
    child.stdin.write(`${count}\n`);
    const done = await answer();
    if (!done) throw new Error('PyTorch ended in the middle of a run');
    return Number(done[clock.name]);
  };
  const name = compile ? 'pytorch compiled' : 'pytorch';
  return {
    contestant: { name, run },
    parameters: Number(ready['parameters']),
    version: String(ready['version']),
    // Without further orders the script comes to its end.
    close: () => child.stdin.end(),
  };
}
