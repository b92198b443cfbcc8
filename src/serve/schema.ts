import { z } from 'zod';
import { type ApiError, badField, unsupported } from './errors.ts';
import { type Limits, MOST_LOGPROBS, MOST_STOPS } from './limits.ts';

/** A field that may be left out, or be null, which clients write for the same. */
function optional<T extends z.ZodType>(type: T) {
  return type.nullish().transform((value) => value ?? undefined);
}

function numberFrom(low: number, high: number) {
  const error = `a number from ${low} to ${high}`;
  return z.number({ error }).min(low, { error }).max(high, { error });
}

function integerFrom(low: number, high = Number.MAX_SAFE_INTEGER) {
  const error =
    high === Number.MAX_SAFE_INTEGER ? `an integer >= ${low}` : `an integer from ${low} to ${high}`;
  return z.int({ error }).min(low, { error }).max(high, { error });
}

const flag = () => z.boolean({ error: 'true or false' });
const text = () => z.string({ error: 'text' });

/** The fields that both ways of asking have. */
function sharedFields(limits: Limits) {
  const error = `a text of 1 to ${limits.stopLength} characters, or a list of 1 to ${MOST_STOPS}`;
  const stop = z.string({ error }).min(1, { error }).max(limits.stopLength, { error });
  return {
    model: optional(text()),
    stream: optional(flag()),
    stream_options: optional(
      z.object(
        { include_usage: optional(flag()) },
        { error: 'an object such as {"include_usage": true}' },
      ),
    ),
    n: optional(integerFrom(1, limits.choices)),
    max_tokens: optional(integerFrom(1)),
    stop: optional(
      z.union([stop, z.array(stop, { error }).min(1, { error }).max(MOST_STOPS, { error })], {
        error,
      }),
    ),
    seed: optional(integerFrom(Number.MIN_SAFE_INTEGER)),
    temperature: optional(numberFrom(0, 2)),
    top_p: optional(numberFrom(0, 1)),
    // Two ways to say "all": 0 and -1.
    top_k: optional(integerFrom(-1)),
    min_p: optional(numberFrom(0, 1)),
    presence_penalty: optional(numberFrom(-2, 2)),
    frequency_penalty: optional(numberFrom(-2, 2)),
    repetition_penalty: optional(numberFrom(0.01, 100)),
    logit_bias: optional(
      z.record(z.string(), numberFrom(-100, 100), { error: 'an object of token id to bias' }),
    ),
    response_format: optional(z.looseObject({ type: text() }, { error: 'an object with a type' })),
  };
}

const toolCall = z.looseObject({
  type: optional(text()),
  function: z.looseObject(
    { name: text(), arguments: optional(z.unknown()) },
    { error: 'an object with name and arguments' },
  ),
});

const parts = { error: 'text, or a list of parts such as {"type": "text", "text": ...}' };
const part = z.looseObject({ type: z.string(parts) }, parts);

const message = z.looseObject(
  {
    role: z.enum(['system', 'developer', 'user', 'assistant', 'tool'], {
      error: '"system", "developer", "user", "assistant" or "tool"',
    }),
    content: optional(z.union([z.string(), z.array(part, parts)], parts)),
    tool_calls: optional(
      z.array(toolCall, { error: 'a list of calls' }).max(128, { error: 'at most 128 calls' }),
    ),
  },
  { error: 'an object with role and content' },
);

export function chatSchema(limits: Limits) {
  const simple = { error: 'an object of texts, numbers, true and false' };
  const messages = `a list of 1 to ${limits.messages} messages`;
  const tool = z.looseObject(
    {
      type: z.literal('function', { error: '"function"' }),
      function: z.looseObject({ name: text() }, { error: 'an object with a name' }),
    },
    { error: 'an object such as {"type": "function", "function": {"name": ...}}' },
  );
  return z.object({
    ...sharedFields(limits),
    messages: z
      .array(message, { error: messages })
      .min(1, { error: messages })
      .max(limits.messages, { error: messages }),
    max_completion_tokens: optional(integerFrom(1)),
    logprobs: optional(flag()),
    top_logprobs: optional(integerFrom(0, MOST_LOGPROBS)),
    tools: optional(
      z
        .array(tool, { error: 'a list of tools' })
        .max(limits.tools, { error: `at most ${limits.tools} tools` }),
    ),
    tool_choice: optional(z.unknown()),
    parallel_tool_calls: optional(flag()),
    chat_template_kwargs: optional(
      z.record(z.string(), z.union([z.string(), z.number(), z.boolean()], simple), simple),
    ),
  });
}

export function completionSchema(limits: Limits) {
  const error = `text, a list of token ids, or a list of 1 to ${limits.choices} of them`;
  const many = <T extends z.ZodType>(type: T) =>
    z.array(type, { error }).min(1, { error }).max(limits.choices, { error });
  const ids = z.array(z.int({ error }).min(0, { error }), { error }).min(1, { error });
  return z.object({
    ...sharedFields(limits),
    prompt: z.union([z.string(), ids, many(z.string()), many(ids)], { error }),
    echo: optional(flag()),
    logprobs: optional(integerFrom(0, MOST_LOGPROBS)),
    best_of: optional(integerFrom(1)),
    suffix: optional(text()),
  });
}

/** Built once: to build them takes longer than to use them. */
export interface Schemas {
  readonly chat: ReturnType<typeof chatSchema>;
  readonly completion: ReturnType<typeof completionSchema>;
}

export type ChatBody = z.output<ReturnType<typeof chatSchema>>;
export type CompletionBody = z.output<ReturnType<typeof completionSchema>>;
export type SharedBody = Pick<ChatBody, keyof ReturnType<typeof sharedFields>>;
export type MessageBody = ChatBody['messages'][number];

/** OpenAI's fields that change no answer of this server; they are accepted in silence. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([
  'metadata',
  'prompt_cache_key',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
  'store',
  'user',
]);

/** What would change the answer if it were built. */
const REFUSED: Readonly<Record<string, string>> = {
  audio: 'the model writes text only',
  chat_template: 'conversations are written by the template of the model',
  function_call: 'it is the old form of tool_choice; use tools',
  functions: 'it is the old form of tools; use tools',
  modalities: 'the model writes text only',
  prediction: 'predicted outputs are not built',
  web_search_options: 'the server searches nothing',
};

export interface Checked<T> {
  readonly body: T;
  /** Fields that are unknown here, and had no effect. */
  readonly ignored: readonly string[];
}

/**
 * Checks a request against its schema.
 *
 * @throws ApiError 400 that names the first field at fault, its value and what was expected
 */
export function check<T>(
  schema: z.ZodObject & z.ZodType<T>,
  given: Record<string, unknown>,
): Checked<T> {
  const fields = Object.keys(given).filter((name) => !Object.hasOwn(schema.shape, name));
  for (const name of fields) {
    const why = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined;
    if (why === undefined || given[name] == null) continue;
    if (name === 'modalities' && onlyText(given[name])) continue;
    throw unsupported(name, why);
  }
  const result = schema.safeParse(given);
  if (!result.success) throw refusal(given, result.error.issues[0]);
  const known = (name: string) => WITHOUT_EFFECT.has(name) || Object.hasOwn(REFUSED, name);
  return { body: result.data, ignored: fields.filter((name) => !known(name)) };
}

function onlyText(modalities: unknown): boolean {
  return Array.isArray(modalities) && modalities.every((one) => one === 'text');
}

function refusal(given: unknown, issue: z.core.$ZodIssue): ApiError {
  let value = given;
  let path = '';
  for (const key of issue.path) {
    const at = value as Record<PropertyKey, unknown>;
    value =
      value !== null && typeof value === 'object' && Object.hasOwn(at, key) ? at[key] : undefined;
    path += typeof key === 'number' ? `[${key}]` : `${path === '' ? '' : '.'}${String(key)}`;
  }
  return badField(path, value, issue.message);
}
