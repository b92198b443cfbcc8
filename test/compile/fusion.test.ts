import { describe, expect, it } from 'vitest';
import { compileProgram } from '../../src/compile/index.ts';
import type { Node } from '../../src/ir/graph/types.ts';
import type { Program } from '../../src/ir/program.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { AdamW } from '../../src/optim/index.ts';
import {
  crossEntropy,
  dropout,
  layerNorm,
  rmsNorm,
  rope,
} from '../../src/tensor/functions/index.ts';
import { grad, random, type Tensor, tensor, valueAndGrad } from '../../src/tensor/index.ts';
import { cutAtMemory } from '../../src/tensor/realize.ts';

const wasm = { device: 'wasm' } as const;

/** The program of lazy tensors, inputs being what is in memory. */
function programOf(nodes: readonly Node[]): Program {
  const { outputs, inputs } = cutAtMemory(nodes);
  return compileProgram(outputs, inputs);
}

const kernelsOf = (...results: Tensor[]) => programOf(results.map((t) => t.node)).steps.length;

/** Stretches of steps that threads run through without waiting for each other. */
const launches = ({ steps }: Program) => 1 + steps.filter((step) => step.barrier).length;

describe('what is one kernel', async () => {
  const x = await random.normal([48, 64], wasm).realize();
  const weight = await random.normal([64], wasm).realize();
  const labels = tensor(
    Int32Array.from({ length: 48 }, (_, i) => i % 64),
    wasm,
  );

  it('softmax and its gradient', () => {
    expect(kernelsOf(x.softmax())).toBe(1);
    expect(kernelsOf(x.logSoftmax())).toBe(1);
    expect(kernelsOf(grad((t: Tensor) => t.softmax().mul(x).sum())(x))).toBeLessThanOrEqual(2);
  });

  it('norms', () => {
    expect(kernelsOf(rmsNorm(x, { weight }))).toBe(1);
    expect(kernelsOf(layerNorm(x, { weight, bias: weight }))).toBe(1);
    expect(kernelsOf(grad((t: Tensor) => rmsNorm(t, { weight }).mul(x).sum())(x))).toBe(1);
  });

  it('rotary positions', () => {
    const q = x.reshape([1, 4, 12, 64]);
    const positions = tensor(
      Int32Array.from({ length: 12 }, (_, i) => i),
      wasm,
    );
    expect(kernelsOf(rope(q, positions))).toBeLessThanOrEqual(2);
  });

  it('cross entropy, forward and with its gradient', () => {
    expect(kernelsOf(crossEntropy(x, labels))).toBeLessThanOrEqual(2);
    expect(kernelsOf(grad((t: Tensor) => crossEntropy(t, labels))(x))).toBeLessThanOrEqual(2);
  });

  it('dropout', () => {
    expect(kernelsOf(dropout(x, { p: 0.1 }))).toBeLessThanOrEqual(2);
  });
});

describe('a transformer block', () => {
  const config = llamaConfig({
    vocab_size: 96,
    hidden_size: 64,
    intermediate_size: 176,
    num_hidden_layers: 1,
    num_attention_heads: 4,
    max_position_embeddings: 128,
    tie_word_embeddings: false,
  });
  const model = new Llama(config, wasm);
  const [batch, time] = [4, 128];
  const tokens = tensor(
    Int32Array.from({ length: batch * time }, (_, i) => (i * 7) % 96),
    { shape: [batch, time], ...wasm },
  );
  /** Bytes of one activation [batch, time, hidden]. */
  const activation = batch * time * config.hidden_size * 4;

  it('takes so many kernels and so much memory, forward and backward', async () => {
    for (const parameter of model.parameters().values()) await parameter.held.realize();
    const forward = programOf([model.forward(tokens).node]);
    expect(forward.steps.length).toBeLessThanOrEqual(17);
    expect(forward.scratchBytes).toBeLessThanOrEqual(7.5 * activation);

    const { value, grads } = valueAndGrad((m: Llama) => m.loss(tokens, tokens))(model);
    const both = programOf([value.node, ...[...grads.values()].map((t) => t.node)]);
    expect(both.steps.length).toBeLessThanOrEqual(56);
    expect(both.scratchBytes).toBeLessThanOrEqual(35 * activation);
  });

  it('is updated by AdamW between two barriers, equal shapes by one kernel', async () => {
    const parameters = model.parameters();
    const optimizer = new AdamW(parameters, { lr: 1e-3 });
    for (const cell of optimizer.state().values()) await cell.held.realize();
    const grads = new Map<string, Tensor>();
    for (const [name, p] of parameters) {
      grads.set(name, await random.normal([...p.shape] as number[], wasm).realize());
    }
    optimizer.update(grads);
    const cells = [...parameters.values(), ...optimizer.state().values()];
    const program = programOf(cells.map((cell) => cell.held.node));
    const shapes = new Set([...parameters.values()].map((p) => p.shape.join('x')));
    // One kernel for the step counter; for each shape of parameters one for its three arrays.
    expect(program.steps.length).toBeLessThanOrEqual(parameters.size + 2);
    expect(program.kernels.length).toBeLessThanOrEqual(shapes.size + 2);
    expect(launches(program)).toBeLessThanOrEqual(2);
  });
});
