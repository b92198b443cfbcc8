import { createRequire } from 'node:module';
import { join } from 'node:path';
import { serveOrders } from './child.ts';
import { onnxMatmul } from './onnx-matmul.ts';
import type { OnnxRuntimeTask } from './onnxruntime.ts';

/** The little of onnxruntime-node's interface that is needed. */
interface OnnxRuntime {
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: {
    create(model: Uint8Array, options: object): Promise<Session>;
  };
  readonly env: { readonly versions: { readonly node?: string; readonly common: string } };
}

interface Session {
  run(inputs: object, outputs: object): Promise<unknown>;
}

/** The process of ONNX Runtime: makes the product that its argument tells, and repeats it. */
const { folder, threads, m, n, k } = JSON.parse(process.argv[2]) as OnnxRuntimeTask;
const { InferenceSession, Tensor, env } = createRequire(join(folder, 'package.json'))(
  folder,
) as OnnxRuntime;
const numbers = (count: number) =>
  Float32Array.from({ length: count }, (_, i) => ((i * 2654435761) % 1024) / 1024 - 0.5);
const inputs = {
  a: new Tensor('float32', numbers(m * k), [m, k]),
  b: new Tensor('float32', numbers(k * n), [k, n]),
};
const c = new Float32Array(m * n);
// With memory of its own for the result nothing is allocated anew at each run.
const outputs = { c: new Tensor('float32', c, [m, n]) };
const session = await InferenceSession.create(onnxMatmul({ m, n, k }), {
  executionProviders: ['cpu'],
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
});
await session.run(inputs, outputs);
const sample = c.subarray(0, 4);
await serveOrders(
  { version: env.versions.node ?? env.versions.common, sample: [...sample] },
  async () => {
    await session.run(inputs, outputs);
  },
);
