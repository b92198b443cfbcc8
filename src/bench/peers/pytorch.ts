import { fileURLToPath } from 'node:url';
import type { Precision } from '../../tensor/index.ts';
import type { Reference } from '../reference-model.ts';
import { AbsentPeer } from './absent.ts';
import { type Child, startChild } from './child.ts';

export const PYTORCH = 'pytorch';
export const COMPILED = 'pytorch compiled';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** Seconds until a matrix product is ready: the time of an import. */
const PATIENCE = 60;

export interface PyTorchOptions {
  readonly threads: number;
  /** bf16 is torch.autocast; weights and optimiser stay f32. */
  readonly precision: Precision;
  /** Whether the model goes through torch.compile. */
  readonly compile: boolean;
  /** How long the first step may take, compilation included. */
  readonly patienceSeconds: number;
}

/** The Python to look in for PyTorch: TERSOR_PYTHON, else python3. */
function python(): string {
  return process.env['TERSOR_PYTHON'] || 'python3';
}

async function open(name: string, file: string, options: object, patienceSeconds: number) {
  const args = [script(file), JSON.stringify(options)];
  try {
    return await startChild({ command: python(), args, patienceSeconds });
  } catch (error) {
    const remedy = 'set TERSOR_PYTHON to a Python that has torch (pip install torch)';
    throw new AbsentPeer(name, `${python()}: ${(error as Error).message}`, remedy);
  }
}

/**
 * The training step in PyTorch, in a process of its own. It tells `parameters` and `version`.
 *
 * @throws AbsentPeer where there is no Python with PyTorch, or where it is not ready in time
 */
export function openPyTorch(
  { config, batch, time }: Reference,
  { threads, precision, compile, patienceSeconds }: PyTorchOptions,
): Promise<Child> {
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
    precision,
  };
  return open(compile ? COMPILED : PYTORCH, 'pytorch.py', options, patienceSeconds);
}

export interface PyTorchMatmul {
  /** Rows and columns of both matrices. */
  readonly size: number;
  readonly dtype: 'float32' | 'bfloat16';
  readonly threads: number;
}

/**
 * A square matrix product in PyTorch, in a process of its own.
 *
 * @throws AbsentPeer likewise
 */
export function openPyTorchMatmul(options: PyTorchMatmul): Promise<Child> {
  return open(PYTORCH, 'pytorch_matmul.py', options, PATIENCE);
}
