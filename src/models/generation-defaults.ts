import { ConfigReader } from './config-reader.ts';
import type { GenerationDefaults } from './types.ts';

/**
 * The settings of a generation_config.json; end tokens stand in a config.json in older models.
 *
 * @throws Error naming a key whose value cannot be used
 */
export function generationFromJson(generation: unknown, config: unknown): GenerationDefaults {
  const from = new ConfigReader(generation ?? {});
  const eosIds = eosOf(generation) ?? eosOf(config);
  const samples = from.flag('do_sample', from.has('temperature'));
  const defaults: { -readonly [K in keyof GenerationDefaults]: GenerationDefaults[K] } = {};
  if (from.has('do_sample') && !samples) defaults.temperature = 0;
  else if (from.has('temperature')) {
    defaults.temperature = from.json['temperature'] === 0 ? 0 : from.positive('temperature');
  }
  // In the files 0 stands for "all".
  if (from.has('top_k') && from.json['top_k'] !== 0) defaults.topK = from.count('top_k');
  if (from.has('top_p')) defaults.topP = from.positive('top_p');
  if (from.has('min_p') && from.json['min_p'] !== 0) defaults.minP = from.positive('min_p');
  if (from.has('repetition_penalty')) {
    defaults.repetitionPenalty = from.positive('repetition_penalty');
  }
  if (from.has('max_new_tokens')) defaults.maxTokens = from.count('max_new_tokens');
  if (eosIds) defaults.eosIds = eosIds;
  return defaults;
}

function eosOf(json: unknown): readonly number[] | undefined {
  const { eos_token_id: ids } = (json ?? {}) as { readonly eos_token_id?: unknown };
  if (ids === undefined || ids === null) return undefined;
  const list = Array.isArray(ids) ? ids : [ids];
  if (list.every((id) => Number.isSafeInteger(id) && id >= 0)) return list as number[];
  throw new Error(`eos_token_id is ${JSON.stringify(ids)}; expected an id or a list of ids`);
}

/** A generation_config.json; what is not set is not written. */
export function generationToJson(
  defaults: GenerationDefaults,
  bosId: number | undefined,
): Record<string, unknown> {
  const { temperature, eosIds } = defaults;
  const json = {
    bos_token_id: bosId,
    eos_token_id: idsToJson(eosIds),
    do_sample: temperature === undefined ? undefined : temperature > 0,
    temperature: temperature || undefined,
    top_k: defaults.topK,
    top_p: defaults.topP,
    min_p: defaults.minP,
    repetition_penalty: defaults.repetitionPenalty,
    max_new_tokens: defaults.maxTokens,
  };
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== undefined));
}

/** One id alone, several as a list. */
export function idsToJson(ids: readonly number[] | undefined): number | number[] | undefined {
  if (!ids || ids.length === 0) return undefined;
  return ids.length === 1 ? ids[0] : [...ids];
}
