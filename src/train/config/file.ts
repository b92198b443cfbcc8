import { readFile } from 'node:fs/promises';
import { explain } from '../../io/files.ts';
import { checkSettings } from './check.ts';
import type { RunSettings } from './schema.ts';

/** Whether a path names a run rather than data. */
export function isRunFile(path: string): boolean {
  return /\.(json|ya?ml)$/i.test(path);
}

/**
 * The settings of a JSON or YAML file.
 *
 * @throws Error naming the file, and the line where it is not YAML, or each key that is wrong
 */
export async function readRunFile(path: string): Promise<RunSettings> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw explain('read', path, error);
  });
  return checkSettings((await parsed(text, path)) ?? {}, `file ${JSON.stringify(path)}`);
}

async function parsed(text: string, path: string): Promise<unknown> {
  // JSON is YAML, too; its own parser is here at once, the other takes a moment to load.
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/\.json$/i.test(path)) {
      throw new Error(
        `file ${JSON.stringify(path)} is not JSON: ${(error as Error).message}. It was read as a run; ` +
          'data to learn from are .jsonl, a record a line',
      );
    }
  }
  const { parse } = await import('yaml');
  try {
    return parse(text);
  } catch (error) {
    const [message] = (error as Error).message.split('\n');
    throw new Error(`file ${JSON.stringify(path)} is not YAML: ${message}`);
  }
}

/**
 * Settings laid over others: objects key by key, all else as a whole. Where an optimiser or a schedule
 * takes the place of another, nothing is left of that one: its options mean nothing to the new one.
 */
export function overlay(below: RunSettings, above: RunSettings): RunSettings {
  const { optimizer, schedule } = below;
  const kept = {
    ...below,
    optimizer: isReplaced(optimizer, above.optimizer) ? undefined : optimizer,
    schedule: isReplaced(schedule, above.schedule) ? undefined : schedule,
  };
  const merged = Object.entries(merge(kept, above) as RunSettings);
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined));
}

type Named = { readonly name?: string | undefined } | undefined;

/** Where no name is said below, the options there were said of any. */
function isReplaced(below: Named, above: Named): boolean {
  return below?.name !== undefined && above?.name !== undefined && below.name !== above.name;
}

function merge(below: unknown, above: unknown): unknown {
  if (above === undefined) return below;
  if (!isObject(below) || !isObject(above)) return above;
  const keys = [...new Set([...Object.keys(below), ...Object.keys(above)])];
  return Object.fromEntries(keys.map((key) => [key, merge(below[key], above[key])]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
