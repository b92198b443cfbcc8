import { join } from 'node:path';
import { escapePattern } from '../base/pattern.ts';
import {
  ensureFolder,
  readJson,
  readSafetensors,
  type StoredTensor,
  writeFileAtomic,
  writeSafetensors,
} from '../io/index.ts';
import { adaptersOf, addLora, type LoraAdapter, type Module, removeLora } from '../nn/index.ts';
import { type Parameter, tensor } from '../tensor/index.ts';

/** PEFT's files, and what it puts before the names of the base model's layers. */
const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';

/** Keys of adapter_config.json that change what is computed, with the values that change nothing. */
const NEUTRAL: Readonly<Record<string, readonly unknown[]>> = {
  bias: ['none'],
  fan_in_fan_out: [false],
  lora_bias: [false],
  modules_to_save: [null],
  use_dora: [false],
  use_qalora: [false],
  use_bdlora: [null, false],
  layer_replication: [null],
  trainable_token_indices: [null],
  target_parameters: [null],
  alora_invocation_tokens: [null],
  arrow_config: [null],
};

/**
 * Saves the adapters of a model as a folder that PEFT loads.
 *
 * @param base where the model they belong to is found: its folder or its name on a hub
 * @throws TypeError when the model has no adapter
 */
export async function saveAdapter(folder: string, model: Module, base?: string): Promise<void> {
  const adapters = adaptersOf(model);
  const [first] = adapters.values();
  if (!first) throw new TypeError('saveAdapter: the model has no adapter; make them with addLora');
  const tensors = new Map<string, StoredTensor>();
  for (const [name, adapter] of adapters) {
    for (const which of ['lora_A', 'lora_B'] as const) {
      tensors.set(`${PREFIX}${name}.${which}.weight`, await stored(adapter[which]));
    }
  }
  const byName = (pick: (adapter: LoraAdapter) => number) =>
    Object.fromEntries(
      [...adapters].filter(([, a]) => pick(a) !== pick(first)).map(([name, a]) => [name, pick(a)]),
    );
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: base ?? null,
    r: first.r,
    lora_alpha: first.alpha,
    lora_dropout: 0,
    use_rslora: first.rslora,
    target_modules: [...new Set([...adapters.keys()].map(lastPart))].sort(),
    rank_pattern: byName(({ r }) => r),
    alpha_pattern: byName(({ alpha }) => alpha),
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
    modules_to_save: null,
    layers_to_transform: null,
    layers_pattern: null,
  };
  await ensureFolder(folder);
  await writeSafetensors(join(folder, WEIGHTS), tensors, { format: 'pt' });
  await writeFileAtomic(join(folder, CONFIG), `${JSON.stringify(config, null, 2)}\n`);
}

/**
 * Gives a model the adapters of a folder that PEFT or `saveAdapter` wrote; merge them with
 * `mergeLora`, or go on training them.
 *
 * @throws Error naming file and key for what is not a LoRA of this model
 */
export async function loadAdapter(folder: string, model: Module): Promise<void> {
  const file = join(folder, CONFIG);
  const config = (await readJson(file)) as Record<string, unknown>;
  const options = lorasOf(config, (key, expected) => {
    const value = JSON.stringify(config[key]);
    return new Error(`file ${JSON.stringify(file)}: ${key} is ${value}; expected ${expected}`);
  });
  const path = join(folder, WEIGHTS);
  const { tensors } = await readSafetensors(path);
  const wrong = (what: string) => new Error(`file ${JSON.stringify(path)}: ${what}`);
  const layers = new Map<string, Partial<Record<string, StoredTensor>>>();
  for (const [name, value] of tensors) {
    const [, layer, which] = /^base_model\.model\.(.+)\.(lora_[AB])\.weight$/.exec(name) ?? [];
    if (!layer || !which) {
      throw wrong(`it holds ${name}; expected ${PREFIX}LAYER.lora_A.weight and lora_B.weight`);
    }
    layers.set(layer, { ...layers.get(layer), [which]: value });
  }
  try {
    for (const [layer, parts] of layers) {
      const adapter = addLora(model, {
        ...options(layer),
        targets: new RegExp(escapePattern(layer)),
      });
      for (const which of ['lora_A', 'lora_B'] as const) {
        const found = parts[which];
        if (!found) throw wrong(`${layer}.${which}.weight is missing`);
        setWeight((adapter.get(layer) as LoraAdapter)[which], found, (is, wanted) =>
          wrong(`${layer}.${which}.weight is ${is}; expected ${wanted} of this model`),
        );
      }
    }
  } catch (error) {
    removeLora(model);
    throw error;
  }
}

/** Rank and scaling of each layer. */
function lorasOf(
  config: Readonly<Record<string, unknown>>,
  wrong: (key: string, expected: string) => Error,
) {
  if (config['peft_type'] !== 'LORA') throw wrong('peft_type', '"LORA"');
  for (const [key, values] of Object.entries(NEUTRAL)) {
    if (config[key] === undefined || values.includes(config[key])) continue;
    throw wrong(key, `${values.map((v) => JSON.stringify(v)).join(' or ')}: nothing else is known`);
  }
  const number = (key: string): number => {
    const value = config[key];
    if (typeof value !== 'number' || !(value > 0)) throw wrong(key, 'a number > 0');
    return value;
  };
  const r = number('r');
  const alpha = number('lora_alpha');
  const rslora = config['use_rslora'] === true;
  // Keys are ends of names, or expressions for them.
  const patterned = (key: string, layer: string, otherwise: number): number => {
    const patterns = (config[key] ?? {}) as Record<string, number>;
    const found = Object.entries(patterns).find(([pattern]) =>
      new RegExp(`^(.*\\.)?(${pattern})$`).test(layer),
    );
    return found ? found[1] : otherwise;
  };
  return (layer: string) => ({
    r: patterned('rank_pattern', layer, r),
    alpha: patterned('alpha_pattern', layer, alpha),
    rslora,
  });
}

async function stored(parameter: Parameter): Promise<StoredTensor> {
  const { held } = parameter;
  return { dtype: held.dtype, shape: held.shape as number[], data: await held.data() };
}

function setWeight(
  parameter: Parameter,
  { dtype, shape, data }: StoredTensor,
  wrong: (is: string, wanted: string) => Error,
): void {
  const wanted = `[${parameter.shape.join(', ')}]`;
  if (`[${shape.join(', ')}]` !== wanted) throw wrong(`[${shape.join(', ')}]`, wanted);
  const raw = tensor(data, { dtype, shape, device: parameter.held.device });
  const value = raw.cast('f32');
  parameter.set(value);
  for (const t of [raw, value]) t.dispose();
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
