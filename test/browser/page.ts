import { setThreads } from '../../src/browser.ts';
import type { OpCase } from '../fixtures/run-case.ts';
import type { Recipe } from '../support/random-graph.ts';
import { parseSafetensors } from '../support/stored.ts';
import { runGraphs, runOperations, runTraining, tellStories } from './suites.ts';

/** What tests call in a page. */

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response;
}

export const isIsolated = () => globalThis.crossOriginIsolated;

export async function operations(threads: number) {
  const [index, file] = await Promise.all([
    fetched('/fixtures/ops/cases.json'),
    fetched('/fixtures/ops/tensors.safetensors'),
  ]);
  const { cases } = (await index.json()) as { cases: readonly OpCase[] };
  const tensors = parseSafetensors(new Uint8Array(await file.arrayBuffer()));
  return runOperations(cases, tensors, threads, (name) => console.debug(name));
}

export const graphs = (recipes: readonly Recipe[], threads: number) => runGraphs(recipes, threads);

export function training(steps: number, threads: number) {
  setThreads(threads);
  return runTraining(steps);
}

export function stories(prompts: readonly string[], threads: number) {
  setThreads(threads);
  return tellStories(new URL('/data/stories260K/hf', location.href), prompts);
}
