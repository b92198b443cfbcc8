import { fileURLToPath } from 'node:url';
import { AbsentPeer, INSTALL } from './absent.ts';
import { type Child, startChild } from './child.ts';
import type { Product } from './openblas.ts';
import { peerFolder } from './packages.ts';

const CHILD = fileURLToPath(new URL('onnxruntime-child.ts', import.meta.url));
const PATIENCE = 30;

/** What the process of ONNX Runtime is given. */
export interface OnnxRuntimeTask extends Pick<Product, 'm' | 'n' | 'k'> {
  /** The folder of onnxruntime-node. */
  readonly folder: string;
  readonly threads: number;
}

/**
 * A product of f32 matrices in ONNX Runtime, in a process of its own: its threads spin for a while
 * after each run, which ours would feel.
 *
 * @throws AbsentPeer where it is not installed
 */
export function openOnnxRuntime(task: Omit<OnnxRuntimeTask, 'folder'>): Promise<Child> {
  const folder = peerFolder('onnxruntime-node');
  if (!folder) throw new AbsentPeer('onnxruntime-node', 'it is not installed', INSTALL);
  const args = [CHILD, JSON.stringify({ ...task, folder } satisfies OnnxRuntimeTask)];
  return startChild({ command: process.execPath, args, patienceSeconds: PATIENCE });
}
