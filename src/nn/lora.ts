import { badArgument } from '../base/errors.ts';
import { type Parameter, realize, scope } from '../tensor/index.ts';
import { Linear } from './layers.ts';
import { LoraAdapter, type LoraOptions } from './lora-adapter.ts';
import type { Module } from './module.ts';
import { PackedWeight } from './packed-weight.ts';

export interface AddLoraOptions extends LoraOptions {
  /**
   * Which linear layers: ends of their dotted names, or an expression that a whole name has to match
   * (default: q_proj and v_proj, as the paper).
   */
  readonly targets?: readonly string[] | RegExp;
}

/** The linear layers of a model that have an adapter, by dotted name. */
export function adaptersOf(model: Module): Map<string, LoraAdapter> {
  const found = new Map<string, LoraAdapter>();
  for (const [name, layer] of linearLayers(model)) {
    if (layer.lora) found.set(name, layer.lora);
  }
  return found;
}

/**
 * Gives linear layers an adapter each and freezes everything else: training then changes the
 * adapters alone, also where the weights are packed (QLoRA, Dettmers et al. 2023).
 *
 * @returns the adapters by the names of their layers
 * @throws TypeError when no layer matches, or one has an adapter already
 */
export function addLora(model: Module, options: AddLoraOptions): Map<string, LoraAdapter> {
  const { targets = ['q_proj', 'v_proj'] } = options;
  const layers = linearLayers(model);
  const matches = (name: string) =>
    targets instanceof RegExp
      ? targets.exec(name)?.[0] === name
      : targets.some((target) => name === target || name.endsWith(`.${target}`));
  const chosen = [...layers].filter(([name]) => matches(name));
  if (chosen.length === 0) {
    if (layers.size === 0) {
      throw new TypeError('addLora: the model has no linear layers; GPT-2 takes no adapter yet');
    }
    const ends = new Set([...layers.keys()].map((name) => name.slice(name.lastIndexOf('.') + 1)));
    throw badArgument('addLora', 'targets', String(targets), `some of ${[...ends].join(', ')}`);
  }
  const taken = chosen.find(([, layer]) => layer.lora);
  if (taken) {
    throw badArgument('addLora', 'targets', taken[0], 'layers without an adapter: merge it first');
  }
  for (const parameter of model.parameters().values()) parameter.trainable = false;
  for (const [, layer] of chosen) {
    const [rows, columns] = layer.weight.shape as readonly [number, number];
    layer.lora = new LoraAdapter([rows, columns], { ...options, device: layer.device });
  }
  return adaptersOf(model);
}

/**
 * Adds the adapters' updates to the weights and takes the adapters away; every parameter can be
 * trained again.
 *
 * @throws TypeError where a layer's weight is packed: the sum would have to be rounded anew
 */
export async function mergeLora(model: Module): Promise<void> {
  const adapted = [...linearLayers(model)].filter(([, layer]) => layer.lora);
  for (const [name, { weight }] of adapted) {
    if (!(weight instanceof PackedWeight)) continue;
    const expected = 'a weight that is not packed; merge into the model that was compressed';
    throw badArgument('mergeLora', name, weight.scheme, expected);
  }
  for (const [, layer] of adapted) {
    const { lora, weight } = layer as { lora: LoraAdapter; weight: Parameter };
    const merged = scope(() => weight.value.add(lora.delta()));
    await realize(merged);
    weight.set(merged);
    merged.dispose();
  }
  removeLora(model);
}

/** Takes the adapters away without merging them. */
export function removeLora(model: Module): void {
  for (const layer of linearLayers(model).values()) {
    layer.lora?.dispose();
    layer.lora = undefined;
  }
  for (const parameter of model.parameters().values()) parameter.trainable = true;
}

function linearLayers(model: Module): Map<string, Linear> {
  return new Map(
    [...model.modules()].filter((entry): entry is [string, Linear] => entry[1] instanceof Linear),
  );
}
