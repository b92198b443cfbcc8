import { existsSync } from 'node:fs';
import { readdir, rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ensureFolder, writeFileAtomic } from '../../io/index.ts';
import { newestCheckpoint, wholeCheckpoint } from '../checkpoints.ts';
import type { RunConfig } from '../config/resolve.ts';
import { size } from './fit.ts';

/** What lies in a run's folder beside the files of its model. */
export const RUN_FILES = {
  config: 'run.json',
  metrics: 'metrics.jsonl',
  curve: 'loss.svg',
  tensorboard: 'tensorboard',
  checkpoints: 'checkpoints',
  adapter: 'adapter',
} as const;

export interface ClaimOptions {
  readonly resume: boolean;
  /** Leaves an earlier run to `clearRun`. */
  readonly overwrite: boolean;
  readonly warn: (message: string) => void;
}

/**
 * Takes a folder for a run before anything is computed.
 *
 * @returns the checkpoint to go on from, where the run is resumed
 * @throws Error where the folder cannot be made, or holds what must not be written over
 */
export async function claimRunFolder(
  out: string,
  { resume, overwrite, warn }: ClaimOptions,
): Promise<string | undefined> {
  await ensureFolder(out);
  const name = JSON.stringify(out);
  const isRun = existsSync(join(out, RUN_FILES.config));
  if (!isRun && existsSync(join(out, 'config.json'))) {
    throw new Error(
      `out ${name} holds another model (config.json without ${RUN_FILES.config}); expected a new ` +
        'folder, or one with a run of tersor',
    );
  }
  if (overwrite && !resume) return undefined;
  const checkpoint = await newestCheckpoint(join(out, RUN_FILES.checkpoints), warn);
  if (resume) {
    if (checkpoint !== undefined) return checkpoint;
    throw new Error(
      `out ${name} has no checkpoint that is whole; expected one to resume. Leave out --resume to ` +
        'start anew.',
    );
  }
  if (checkpoint === undefined) return undefined;
  throw new Error(
    `out ${name} holds an earlier run (${checkpoint}); go on with it by --resume, choose another ` +
      'folder, or remove it by --overwrite',
  );
}

/** Files of a model that a run leaves in its folder. */
const MODEL_FILE =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map)\.json$|^chat_template\.jinja$|^model(-\d+-of-\d+)?\.safetensors(\.index\.json)?$/;

/** Removes a run and its model from a folder that `claimRunFolder` has taken; other files stay. */
export async function clearRun(out: string): Promise<void> {
  const models = (await readdir(out)).filter((name) => MODEL_FILE.test(name));
  for (const part of [...Object.values(RUN_FILES), ...models]) {
    await rm(join(out, part), { recursive: true, force: true });
  }
}

/**
 * Whether a folder holds a run with a checkpoint that is whole: one that can be gone on with, and
 * stands in the way of another. One that ended before its first checkpoint does not. Only looks.
 */
export async function hasCheckpoint(out: string): Promise<boolean> {
  return (await wholeCheckpoint(join(out, RUN_FILES.checkpoints), () => {})) !== undefined;
}

/** Writes the settings that reproduce the run, wherever they are read. */
export async function writeConfig(config: RunConfig): Promise<void> {
  const { model, tokenizer, data, out } = config;
  const absolute = {
    ...config,
    model: 'from' in model ? { from: resolve(model.from) } : model,
    tokenizer: { ...tokenizer, ...(tokenizer.from && { from: resolve(tokenizer.from) }) },
    data: {
      ...data,
      path: data.path.map((path) => resolve(path)),
      ...(typeof data.validation !== 'number' && {
        validation: data.validation.map((path) => resolve(path)),
      }),
    },
    out: resolve(out),
  };
  const path = join(out, RUN_FILES.config);
  await writeFileAtomic(path, `${JSON.stringify(absolute, null, 2)}\n`);
}

/** Tells before the training when the disk has no room for its checkpoints. */
export async function warnOfSmallDisk(
  { out, checkpoints: { keep } }: RunConfig,
  bytes: number,
  warn: (message: string) => void,
): Promise<void> {
  const disk = await statfs(out).catch(() => undefined);
  if (!disk) return;
  const free = disk.bavail * disk.bsize;
  // One more than are kept: the oldest goes when the newest is complete. And the model at the end.
  const needed = (keep + 1) * bytes + bytes;
  if (free >= needed) return;
  warn(
    `the disk of ${JSON.stringify(out)} has ${size(free)} free; ${keep} checkpoints and the model ` +
      `take up to ${size(needed)}: free some space, or keep fewer (--keep)`,
  );
}
