import { wasmFeatures } from '../../src/asm/index.ts';
import * as tersor from '../../src/browser.ts';
import { WasmDevice } from '../../src/device/index.ts';
import { RUNNERS, runAnyCase } from '../fixtures/operations.ts';
import type { OpCase, Tensors } from '../fixtures/run-case.ts';
import { compareGraph, graphDevices } from '../fuzz/check-graph.ts';
import { Digest } from '../support/digest.ts';
import { greedyCached } from '../support/greedy.ts';
import type { Recipe } from '../support/random-graph.ts';
import { TEXT, textTokenizer, tokenizer } from '../support/tiny.ts';

/**
 * What is run in a page and, for comparison, in Node: nothing here reads files or asks where it is.
 * Reports are plain values, so that a page can hand them over.
 */

export interface CaseReport {
  readonly name: string;
  readonly problems: readonly string[];
  /** A digest of all results, to compare them between places. */
  readonly bits: string;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

/** Threads that this place can have, where so many are asked for. */
const possible = (threads: number) => (wasmFeatures().threads ? threads : 1);

/**
 * Every case of the fixtures that the device can run, forward and backward. Programs go to the
 * threads however short they are.
 *
 * @param tell hears the name of each case before it runs
 */
export async function runOperations(
  cases: readonly OpCase[],
  tensors: Tensors,
  threads: number,
  tell: (name: string) => void = () => {},
): Promise<CaseReport[]> {
  const { relaxedSimd } = wasmFeatures();
  const device = new WasmDevice({ relaxedSimd, threads: possible(threads), worthThreads: 0 });
  const reports: CaseReport[] = [];
  for (const c of cases) {
    if (c.op !== 'cast' && !(c.op in RUNNERS)) continue;
    tell(c.name);
    const digest = new Digest();
    const problems = await runAnyCase(c, tensors, device, (data) => digest.add(data)).catch(
      (error) => [messageOf(error)],
    );
    reports.push({ name: c.name, problems, bits: String(digest) });
  }
  return reports;
}

/** Random graphs on wasm, held to both interpreters. */
export async function runGraphs(
  recipes: readonly Recipe[],
  threads: number,
): Promise<CaseReport[]> {
  const devices = graphDevices(possible(threads));
  const reports: CaseReport[] = [];
  for (const [i, recipe] of recipes.entries()) {
    const digest = new Digest();
    const problems: string[] = [];
    try {
      for (const result of await compareGraph(recipe, i, devices)) digest.add(result);
    } catch (error) {
      problems.push(messageOf(error));
    }
    reports.push({ name: `graph ${i}`, problems, bits: String(digest) });
  }
  return reports;
}

export interface TrainingReport {
  /** Threads that there were in fact. */
  readonly threads: number;
  readonly losses: readonly number[];
  /** What the model writes afterwards. */
  readonly text: string;
  /** A digest of its weights. */
  readonly weights: string;
}

/** Trains a small llama by the entry for browsers and lets it write. */
export async function runTraining(steps: number): Promise<TrainingReport> {
  const { complete, Llama, llamaConfig, random, trainLanguageModel } = tersor;
  const { target } = tersor.device('wasm');
  random.seed(7);
  const context = 32;
  const model = new Llama(
    llamaConfig({
      vocab_size: tokenizer.size,
      hidden_size: 64,
      intermediate_size: 160,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: context,
    }),
  );
  const losses: number[] = [];
  await trainLanguageModel({
    model,
    tokens: tokenizer.encode(TEXT),
    options: { steps, batch: 8, sequence: context, lr: 0.01 },
    onProgress: ({ loss }) => losses.push(loss),
  });
  const writer = { model, tokenizer: textTokenizer, generation: {} };
  const text = await complete(writer, 'the cat ', { temperature: 0, maxTokens: 24 });
  const weights = new Digest();
  for (const parameter of model.parameters().values()) weights.add(await parameter.held.data());
  model.dispose();
  const threads = target.kind === 'wasm' ? target.threads : 1;
  return { threads, losses, text, weights: String(weights) };
}

/** A prompt and what a model writes after it, always taking the most probable token. */
export interface Story {
  readonly prompt: string;
  readonly continuation_ids: readonly number[];
  readonly continuation_text: string;
}

/** Lets a pretrained model tell stories of 64 tokens. */
export async function tellStories(
  place: Parameters<typeof tersor.loadModel>[0],
  prompts: readonly string[],
): Promise<Story[]> {
  const { model, tokenizer } = await tersor.loadModel(place);
  if (!tokenizer) throw new Error('the model has no tokenizer');
  const stories: Story[] = [];
  for (const prompt of prompts) {
    const ids = [...tokenizer.encode(prompt, { addSpecial: true })];
    const continuation_ids = await greedyCached(model, ids, 64);
    const text = tokenizer.decode([...ids, ...continuation_ids], { skipSpecial: true });
    stories.push({ prompt, continuation_ids, continuation_text: text.slice(prompt.length) });
  }
  model.dispose();
  return stories;
}
