import { z } from 'zod';
import { nearestName } from '../../base/nearest.ts';
import { RUN, type RunSettings } from './schema.ts';

/**
 * Settings out of plain JSON.
 *
 * @param where what is to blame in errors: a file, or the flags
 * @throws TypeError naming the path of each unknown key, with the nearest name there is, and of each
 *   wrong value, with what was expected
 */
export function checkSettings(json: unknown, where: string): RunSettings {
  const { success, data, error } = RUN.safeParse(json);
  if (success) return data;
  const problems = error.issues.flatMap((issue) => describe(issue, json));
  throw new TypeError(problems.map((problem) => `${where}: ${problem}`).join('\n'));
}

function describe(issue: z.core.$ZodIssue, json: unknown): string[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(path);
    return issue.keys.map((key) => {
      const near = nearestName(key, known);
      const meant = near === undefined ? elsewhere(key) : [...path, near].join('.');
      const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
      return `unknown key ${[...path, key].join('.')}${hint}; expected one of ${known.join(', ')}`;
    });
  }
  const name = path.length === 0 ? 'the run' : path.join('.');
  const expected = issue.code === 'invalid_type' ? `an ${issue.expected}` : issue.message;
  const hint = path.length === 0 ? ' (data to learn from are .jsonl, a record a line)' : '';
  return [`${name} is ${shortened(valueAt(json, path))}; expected ${expected}${hint}`];
}

/** A value as JSON, of which an error shows no more than a line. */
function shortened(value: unknown): string {
  const text = String(JSON.stringify(value));
  return text.length <= 60 ? text : `${text.slice(0, 60)}... (${text.length} characters)`;
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown>)?.[key], json);
}

/** The keys that the schema knows at a path. */
function keysAt(path: readonly PropertyKey[]): string[] {
  let schema: z.core.$ZodType = RUN;
  for (const key of path) schema = shapeOf(schema)[String(key)] as z.core.$ZodType;
  return Object.keys(shapeOf(schema));
}

function shapeOf(schema: z.core.$ZodType): Record<string, z.core.$ZodType> {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema;
  return inner instanceof z.ZodObject ? inner.shape : {};
}

/** A key that stands in another part of a run. */
function elsewhere(key: string): string | undefined {
  const paths = Object.keys(RUN.shape).flatMap((part) =>
    Object.keys(shapeOf(RUN.shape[part as keyof typeof RUN.shape])).map((name) => [part, name]),
  );
  const near = nearestName(
    key,
    paths.map(([, name]) => name as string),
  );
  const found = paths.find(([, name]) => name === near);
  return found?.join('.');
}
