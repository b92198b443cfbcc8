import { badArgument } from '../../base/errors.ts';
import type { DatasetFormat } from '../../data/node.ts';
import type { Precision } from '../../tensor/index.ts';
import type { Length } from '../budget.ts';
import type { RunSettings } from './schema.ts';

/** A run with nothing left open: what is written into its folder, and reproduces it. */
export interface RunConfig {
  readonly model: ModelConfig;
  readonly tokenizer: TokenizerConfig;
  readonly data: DataConfig;
  readonly train: TrainConfig;
  /** A name and its options, `lr` among them. */
  readonly optimizer: NamedConfig & { readonly lr: number };
  readonly schedule: NamedConfig;
  readonly lora?: LoraConfig;
  readonly checkpoints: CheckpointConfig;
  readonly logs: { readonly tensorboard: boolean; readonly svg: boolean };
  readonly out: string;
}

/** A directory to go on from, or the sizes of a new model. */
export type ModelConfig =
  | { readonly from: string }
  | {
      readonly arch: 'llama' | 'gpt2';
      readonly layers: number;
      readonly width: number;
      readonly heads: number;
      readonly kvHeads: number;
      readonly ff: number;
      readonly context: number;
    };

export interface TokenizerConfig {
  readonly kind: 'characters' | 'bpe' | 'from';
  readonly vocabSize?: number;
  readonly from?: string;
}

export interface DataConfig {
  readonly path: readonly string[];
  readonly format: DatasetFormat;
  readonly field?: string;
  readonly promptField?: string;
  readonly completionField?: string;
  readonly messagesField?: string;
  readonly separator?: string;
  readonly validation: number | readonly string[];
  readonly skipBad: boolean;
  readonly rows: 'packed' | 'padded';
}

export type TrainConfig = (Length | { readonly epochs: number }) & {
  readonly batch: number;
  /** Not given where a model is trained further: as long as the model allows, up to 256. */
  readonly sequence?: number;
  readonly accumulate: number;
  readonly seed: number;
  readonly clipNorm: number | null;
  readonly evalEvery?: number;
  readonly evalBatches: number;
  readonly precision: Precision;
  readonly gradientCheckpointing: boolean;
  readonly memory?: number;
};

export type NamedConfig = Readonly<Record<string, unknown>> & { readonly name: string };

export interface LoraConfig {
  readonly r: number;
  readonly alpha: number;
  readonly targets?: readonly string[];
  readonly rslora: boolean;
  readonly merge: boolean;
}

export interface CheckpointConfig {
  readonly every?: number;
  readonly minutes?: number;
  readonly keep: number;
}

/** What one number says about a run. */
export interface Dial {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly batch: number;
  readonly lr: number;
  readonly steps: number;
}

/**
 * The one dial: from the depth d follow
 *
 * - layers d, width 64 d, d heads of 64 (two of 32 for d = 1);
 * - context 64 d tokens, from 64 up to 1024; a step of 8 rows of that length;
 * - learning rate 0.005 / sqrt(d), for AdamW: it falls with the root of the width;
 * - steps for 20 tokens a parameter (Hoffmann et al. 2022), 12 d (64 d)^2 parameters without tables.
 */
export function dial(depth: number): Dial {
  const width = 64 * depth;
  const context = Math.min(1024, width);
  const parameters = 12 * depth * width ** 2;
  const batch = 8;
  return {
    layers: depth,
    width,
    heads: Math.max(2, depth),
    context,
    batch,
    lr: Number((0.005 / Math.sqrt(depth)).toPrecision(3)),
    steps: Math.ceil((20 * parameters) / (batch * context)),
  };
}

/** A model of some 350 thousand parameters and three minutes, where nothing is said. */
const SMALL = { layers: 3, width: 96, heads: 4, context: 96, batch: 8, lr: 5e-3, seconds: 180 };

/** Learning rates for going on from a model: of all its weights, and of an adapter. */
const FURTHER_LR = 1e-4;
const LORA_LR = 5e-4;

/**
 * Fills in what is left open.
 *
 * @throws TypeError naming the path of what is missing, or does not go together
 */
export function resolveRun(settings: RunSettings): RunConfig {
  const { model = {}, data = {}, tokenizer = {}, train = {}, lora } = settings;
  const { out, optimizer = {}, schedule = {}, checkpoints = {}, logs = {} } = settings;
  if (data.path === undefined) throw missing('data.path', 'the file or folder to learn from');
  if (out === undefined) throw missing('out', "the run's folder");
  const dialled = model.depth === undefined ? undefined : dial(model.depth);
  const sizes = { ...SMALL, ...dialled };
  const isNew = model.from === undefined;
  const rate = isNew ? sizes.lr : lora ? LORA_LR : FURTHER_LR;
  const resolved = resolveOptimizer(optimizer, rate, { isNew, isAdapter: lora !== undefined });
  return {
    model: isNew ? newModel(model, sizes) : furtherModel(model),
    tokenizer: resolveTokenizer(tokenizer, isNew),
    data: resolveData(data, data.path),
    train: {
      ...lengthOf(train, dialled),
      batch: train.batch ?? sizes.batch,
      ...sequenceOf(train, isNew ? (model.context ?? sizes.context) : undefined),
      accumulate: train.accumulate ?? 1,
      seed: train.seed ?? 1,
      clipNorm: train.clipNorm === undefined ? 1 : train.clipNorm,
      ...(train.evalEvery && { evalEvery: train.evalEvery }),
      evalBatches: train.evalBatches ?? 8,
      precision: train.precision ?? 'f32',
      gradientCheckpointing: train.gradientCheckpointing ?? false,
      ...(train.memory && { memory: train.memory }),
    },
    optimizer: resolved,
    schedule: resolveSchedule(schedule, resolved.lr),
    ...(lora && { lora: resolveLora(lora) }),
    checkpoints: {
      ...(checkpoints.every && { every: checkpoints.every }),
      ...(checkpoints.minutes && { minutes: checkpoints.minutes }),
      ...(!checkpoints.every && !checkpoints.minutes && { minutes: 5 }),
      keep: checkpoints.keep ?? 3,
    },
    logs: { tensorboard: logs.tensorboard ?? true, svg: logs.svg ?? true },
    out,
  };
}

type Settings<K extends keyof RunSettings> = NonNullable<RunSettings[K]>;

function newModel(model: Settings<'model'>, sizes: Omit<Dial, 'steps'>): ModelConfig {
  const { arch = 'llama', layers = sizes.layers, width = sizes.width } = model;
  const { heads = sizes.heads, context = sizes.context } = model;
  if (arch === 'gpt2' && model.kvHeads !== undefined && model.kvHeads !== heads) {
    throw badArgument('run', 'model.kvHeads', model.kvHeads, `${heads}, the heads, for a gpt2`);
  }
  return {
    arch,
    layers,
    width,
    heads,
    kvHeads: model.kvHeads ?? heads,
    // Gated MLPs have three matrices in place of two.
    ff: model.ff ?? (arch === 'gpt2' ? 4 * width : Math.ceil(width / 3) * 8),
    context,
  };
}

function furtherModel({ from, ...sizes }: Settings<'model'>): ModelConfig {
  const [key] = Object.keys(sizes);
  if (key === undefined) return { from: from as string };
  throw badArgument(
    'run',
    `model.${key}`,
    sizes[key as keyof typeof sizes],
    'nothing beside model.from',
  );
}

function resolveData(
  { path: _path, validation = 0.05, format = 'auto', skipBad, rows, ...fields }: Settings<'data'>,
  path: string | string[],
): DataConfig {
  return {
    path: listOf(path),
    format,
    ...(fields as Pick<DataConfig, 'field'>),
    validation: typeof validation === 'number' ? validation : listOf(validation),
    skipBad: skipBad ?? false,
    rows: rows ?? 'packed',
  };
}

function listOf(paths: string | string[]): string[] {
  return typeof paths === 'string' ? [paths] : paths;
}

function resolveTokenizer(tokenizer: Settings<'tokenizer'>, isNew: boolean): TokenizerConfig {
  const { from, vocabSize } = tokenizer;
  const kind = tokenizer.kind ?? (!isNew || from !== undefined ? 'from' : 'characters');
  if (vocabSize !== undefined && kind !== 'bpe') {
    throw badArgument('run', 'tokenizer.vocabSize', vocabSize, 'tokenizer.kind bpe beside it');
  }
  if (!isNew && (kind !== 'from' || from !== undefined)) {
    throw badArgument('run', 'tokenizer', kind, "nothing beside model.from: it is the model's own");
  }
  if (kind === 'bpe') return { kind, vocabSize: vocabSize ?? 4096 };
  if (kind === 'characters') return { kind };
  if (isNew && from === undefined)
    throw missing('tokenizer.from', 'a directory with tokenizer.json');
  return { kind, ...(from !== undefined && { from }) };
}

function lengthOf(train: Settings<'train'>, dialled: Dial | undefined) {
  const { steps, seconds, epochs } = train;
  const given = Object.entries({ steps, seconds, epochs }).filter(([, v]) => v !== undefined);
  if (given.length > 1) {
    const names = given.map(([name]) => `train.${name}`).join(' and ');
    throw badArgument('run', names, 'given together', 'one of them');
  }
  if (steps !== undefined) return { steps };
  if (seconds !== undefined) return { seconds };
  if (epochs !== undefined) return { epochs };
  return dialled ? { steps: dialled.steps } : { seconds: SMALL.seconds };
}

function sequenceOf(train: Settings<'train'>, context: number | undefined) {
  const { sequence = context } = train;
  if (sequence === undefined) return {};
  if (context !== undefined && sequence > context) {
    throw badArgument('run', 'train.sequence', sequence, `at most model.context (${context})`);
  }
  return { sequence };
}

/** What AdamW is given where nothing is said. */
const ADAMW = { betas: [0.9, 0.95], weightDecay: 0.1, decays: 'matrices' };

/** Muon's usual rate for a new model; its steps have the same size whatever the width. */
const MUON_LR = 0.02;
/** Tables of tokens and positions, and the head: matrices whose rows are no directions of one map. */
const TABLES = ['*embed*', '*wte*', '*wpe*', 'lm_head*'];

function resolveOptimizer(
  optimizer: Settings<'optimizer'>,
  rate: number,
  { isNew, isAdapter }: { readonly isNew: boolean; readonly isAdapter: boolean },
): RunConfig['optimizer'] {
  const { name = 'adamw', lr, ...options } = optimizer;
  if (name === 'adamw') return { name, lr: lr ?? rate, ...ADAMW, ...options };
  if (name !== 'muon') return { name, lr: lr ?? rate, ...options };
  const usual = isNew ? MUON_LR : (rate / SMALL.lr) * MUON_LR;
  // Those of an adapter are matrices, all of them.
  if (isAdapter) return { name, lr: lr ?? usual, ...options };
  const { weightDecay = ADAMW.weightDecay } = options;
  const rest = { name: 'adamw', lr: rate, ...ADAMW, weightDecay };
  return { name, lr: lr ?? usual, rest, restParameters: TABLES, ...options };
}

/** Shares of the run that schedules are given where nothing is said. */
const USUAL_SCHEDULES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  wsd: { warmup: 0.03, stable: 0.77, decay: 0.2 },
  'inverse-sqrt': { warmup: 0.03, timescale: 0.03 },
  'cosine-restarts': { warmup: 0.04, period: 0.24 },
  step: { every: 0.3, gamma: 0.3 },
  'multi-step': { milestones: [0.5, 0.75] },
};

function resolveSchedule(schedule: Settings<'schedule'>, lr: number): NamedConfig {
  const { name = 'cosine', ...options } = schedule;
  const min = lr / 50;
  if (name === 'cosine') return { name, warmup: 0.03, min, ...options };
  return { name, ...USUAL_SCHEDULES[name], ...options };
}

function resolveLora(lora: Settings<'lora'>): LoraConfig {
  const { r = 8, alpha = 2 * r, targets, rslora = false, merge = true } = lora;
  return { r, alpha, ...(targets && { targets }), rslora, merge };
}

function missing(name: string, what: string): Error {
  return new TypeError(`run: ${name} is missing; expected ${what}`);
}
