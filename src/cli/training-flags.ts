import { type Command, InvalidArgumentError, Option } from 'commander';
import { checkSettings, overlay, type RunSettings } from '../train/index.ts';
import { integer, number, seed } from './options.ts';

/** What the flags of `tersor train` give. */
export interface TrainFlags {
  readonly out?: string;
  readonly from?: string;
  readonly resume?: string | true;
  readonly overwrite?: boolean;
  readonly minutes?: number;
  readonly steps?: number;
  readonly epochs?: number;
  readonly seed?: number;
  readonly depth?: number;
  readonly dim?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly ff?: number;
  readonly context?: number;
  readonly sequence?: number;
  readonly tokenizer?: string;
  readonly vocab?: number;
  readonly format?: string;
  readonly validation?: string;
  readonly batch?: number;
  readonly accumulate?: number;
  readonly lr?: number;
  readonly weightDecay?: number;
  readonly optimizer?: string;
  readonly schedule?: string;
  readonly warmup?: number;
  readonly clipNorm?: number;
  readonly evalEvery?: number;
  readonly precision?: string;
  readonly lora?: number | true;
  readonly gradientCheckpointing?: boolean;
  readonly checkpointEvery?: number;
  readonly keep?: number;
  readonly memory?: number;
  readonly set?: readonly string[];
  readonly live?: number | true;
  readonly json?: boolean;
}

/** Adds the flags, by what they are about. */
export function addTrainFlags(command: Command): Command {
  const count = integer(1);
  const positive = number(0, 'open');
  return command
    .optionsGroup('Run:')
    .option('-o, --out <folder>', "the run's folder (default: runs/NAME)")
    .option('--resume [folder]', 'go on from the newest checkpoint that is whole')
    .option('--overwrite', "remove the folder's earlier run")
    .addOption(
      new Option('-m, --minutes <n>', 'time to train (default: 3)')
        .argParser(positive)
        .conflicts(['steps', 'epochs']),
    )
    .addOption(
      new Option('--steps <n>', 'steps to train: the same result at every run')
        .argParser(count)
        .conflicts(['minutes', 'epochs']),
    )
    .addOption(new Option('--epochs <n>', 'times to go through the data').argParser(positive))
    .option('-s, --seed <n>', 'of the first weights and the order of the data (default: 1)', seed)
    .option('--set <key=value>', 'any setting by its path, as optimizer.eps=1e-6', gather)
    .optionsGroup('Model:')
    .option('--from <folder>', 'train the model of a HuggingFace directory further')
    .option('--depth <n>', 'one dial for sizes, learning rate, batch and steps', count)
    .option('--dim <n>', 'width of a new model (default: 96)', integer(2))
    .option('--layers <n>', 'number of layers (default: 3)', count)
    .option('--heads <n>', 'attention heads of a layer (default: 4)', count)
    .option('--ff <n>', 'width within the MLPs (default: 8/3 of the width)', count)
    .option('--context <n>', 'longest sequence in tokens (default: 96)', integer(2))
    .option('--tokenizer <kind>', 'characters, bpe, or a directory with a tokenizer.json')
    .option('--vocab <n>', 'tokens of a bpe tokenizer (default: 4096)', count)
    .optionsGroup('Data:')
    .option('--format <name>', 'text, jsonl, completion, chat or tokens (default: by the file)')
    .option('--validation <share>', 'a share of the data, or a file (default: 0.05)')
    .optionsGroup('Training:')
    .option('--batch <n>', 'rows of a micro-batch (default: 8)', count)
    .option('--accumulate <n>', 'micro-batches of a step (default: 1)', count)
    .option('--sequence <n>', 'tokens of a row (default: the context)', count)
    .option('--lr <rate>', 'highest learning rate (default: 0.005 for a new model)', positive)
    .option('--weight-decay <rate>', 'of the matrices (default: 0.1)', number(0))
    .option('--optimizer <name>', 'adamw, muon, lion, adafactor, sgd, ... (default: adamw)')
    .option('--schedule <name>', 'cosine, wsd, one-cycle, constant, ... (default: cosine)')
    .option('--warmup <n>', 'steps, or a share of the run below 1 (default: 0.03)', number(0))
    .option('--clip-norm <n>', 'highest norm of the gradients (default: 1)', positive)
    .option('--eval-every <n>', 'steps between measurements (default: 10 in a run)', count)
    .option('--precision <type>', 'of products: f32, bf16 or f16; weights are f32 (default: f32)')
    .option('--lora [rank]', 'train an adapter of this rank only (default rank: 8)', count)
    .option('--gradient-checkpointing', 'less memory for more time')
    .option('--memory <MiB>', 'that arrays may take', positive)
    .optionsGroup('Keeping and showing:')
    .option('--checkpoint-every <n>', 'steps between checkpoints (default: 5 minutes)', count)
    .option('--keep <n>', 'checkpoints that are kept (default: 3)', count)
    .option(
      '--live [port]',
      'a page that draws the run as it goes (default port: any)',
      integer(0, 65535),
    )
    .option('--json', 'a line of JSON for every step');
}

function gather(text: string, before: readonly string[] = []): string[] {
  if (/^[A-Za-z]+(\.[A-Za-z]+)*=/.test(text)) return [...before, text];
  throw new InvalidArgumentError('Expected KEY=VALUE, as in train.clipNorm=0.5.');
}

/** The flags as settings. @throws TypeError for a value that does not fit, naming its path */
export async function settingsOfFlags(flags: TrainFlags): Promise<RunSettings> {
  const { minutes, optimizer, schedule, lora, tokenizer, validation } = flags;
  const isShare = validation !== undefined && /^[0-9.eE+-]+$/.test(validation);
  const json = dropEmpty({
    model: {
      from: flags.from,
      depth: flags.depth,
      layers: flags.layers,
      width: flags.dim,
      heads: flags.heads,
      ff: flags.ff,
      context: flags.context,
    },
    tokenizer: tokenizerOf(tokenizer, flags.vocab),
    data: { format: flags.format, validation: isShare ? Number(validation) : validation },
    train: {
      steps: flags.steps,
      seconds: minutes === undefined ? undefined : minutes * 60,
      epochs: flags.epochs,
      batch: flags.batch,
      sequence: flags.sequence,
      accumulate: flags.accumulate,
      seed: flags.seed,
      clipNorm: flags.clipNorm,
      evalEvery: flags.evalEvery,
      precision: flags.precision,
      gradientCheckpointing: flags.gradientCheckpointing,
      memory: flags.memory,
    },
    optimizer: { name: optimizer, lr: flags.lr, weightDecay: flags.weightDecay },
    schedule: { name: schedule, warmup: flags.warmup },
    lora: lora === undefined ? undefined : { r: lora === true ? undefined : lora },
    checkpoints: { every: flags.checkpointEvery, keep: flags.keep },
    out: flags.out,
  });
  // An empty one says that there is to be an adapter.
  const settings = checkSettings({ ...json, ...(lora === true && { lora: {} }) }, 'the flags');
  return (flags.set ?? []).length === 0 ? settings : withSet(settings, flags.set ?? []);
}

function tokenizerOf(kind: string | undefined, vocabSize: number | undefined) {
  if (kind === undefined) return vocabSize === undefined ? undefined : { kind: 'bpe', vocabSize };
  return kind === 'characters' || kind === 'bpe'
    ? { kind, vocabSize }
    : { kind: 'from', from: kind };
}

async function withSet(below: RunSettings, list: readonly string[]): Promise<RunSettings> {
  const { parse } = await import('yaml');
  let settings = below;
  for (const item of list) {
    const at = item.indexOf('=');
    const value: unknown = parse(item.slice(at + 1));
    const keys = item.slice(0, at).split('.');
    const json = keys.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
    settings = overlay(settings, checkSettings(json, `--set ${item}`));
  }
  return settings;
}

function dropEmpty(value: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, item]) => {
    const isObject = typeof item === 'object' && item !== null;
    return [key, isObject ? dropEmpty(item as Record<string, unknown>) : item] as const;
  });
  return Object.fromEntries(
    entries.filter(([, item]) => {
      if (item === undefined) return false;
      return typeof item !== 'object' || item === null || Object.keys(item).length > 0;
    }),
  );
}
