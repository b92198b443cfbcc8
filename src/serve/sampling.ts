import type { SamplingOptions } from '../generate/engine-types.ts';
import { ApiError, badField, unsupported } from './errors.ts';
import type { Limits } from './limits.ts';
import type { SharedBody } from './schema.ts';

/** What both ways of asking have in common, in the names of the library. */
export interface Wishes {
  readonly sampling: SamplingOptions;
  readonly stop: readonly string[];
  /** Answers for each prompt. */
  readonly n: number;
  readonly stream: boolean;
  /** Whether a stream ends with what was used. */
  readonly includeUsage: boolean;
}

/** @throws ApiError 400 by the field's name */
export function wishesOf(body: SharedBody, vocabulary: number, limits: Limits): Wishes {
  const format = body.response_format?.type;
  if (format !== undefined && format !== 'text') {
    throw unsupported('response_format', `${JSON.stringify(format)} is not built; leave it out`);
  }
  if (body.stream_options !== undefined && body.stream !== true) {
    throw badField('stream_options', body.stream_options, 'it only together with "stream": true');
  }
  const { stop, top_k: topK } = body;
  return {
    sampling: {
      temperature: body.temperature,
      topK: topK === undefined || topK <= 0 ? undefined : topK,
      topP: body.top_p,
      minP: body.min_p,
      repetitionPenalty: body.repetition_penalty,
      presencePenalty: body.presence_penalty,
      frequencyPenalty: body.frequency_penalty,
      logitBias: logitBias(body.logit_bias, vocabulary, limits),
      seed: body.seed === undefined ? undefined : seed32(body.seed),
    },
    stop: stop === undefined ? [] : typeof stop === 'string' ? [stop] : stop,
    n: body.n ?? 1,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
  };
}

function logitBias(
  given: Readonly<Record<string, number>> | undefined,
  vocabulary: number,
  limits: Limits,
): ReadonlyMap<number, number> | undefined {
  if (given === undefined) return undefined;
  const entries = Object.entries(given);
  if (entries.length === 0) return undefined;
  if (entries.length > limits.logitBias) {
    throw new ApiError(
      400,
      `logit_bias has ${entries.length} entries; expected at most ${limits.logitBias}`,
      { param: 'logit_bias' },
    );
  }
  return new Map(
    entries.map(([key, bias]) => {
      const id = /^\d{1,9}$/.test(key) ? Number(key) : Number.NaN;
      if (!(id < vocabulary)) {
        const expected = `token ids from 0 to ${vocabulary - 1}`;
        throw badField(
          'logit_bias',
          { [key]: bias },
          `its keys to be ${expected}, not ${key.slice(0, 40)}`,
        );
      }
      return [id, bias] as const;
    }),
  );
}

/** Seeds of the library have 32 bits; those of the API 64, of which a JSON number holds 53. */
function seed32(seed: number): number {
  return ((seed >>> 0) ^ (Math.floor(seed / 2 ** 32) >>> 0)) >>> 0;
}

/** The seed of one of several answers: each has its own, and the first that of a single one. */
export function seedOf({ sampling }: Wishes, choice: number): number | undefined {
  return sampling.seed === undefined ? undefined : (sampling.seed + choice) >>> 0;
}
