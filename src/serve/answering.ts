import type { GenerationRequest, TextEngine } from '../generate/engine-types.ts';
import type { Tokenizer } from '../io/index.ts';
import { collect, eventStream, UsageCounter } from './answer.ts';
import { readJsonObject } from './body.ts';
import { chatCompletion, chatEvents, type Head } from './chat.ts';
import { completionEvents, textCompletion } from './completions.ts';
import {
  encodeConversation,
  type PlainChat,
  refusing,
  requireRoom,
  usesTools,
} from './conversation.ts';
import { ApiError, badField, noModel, unsupported } from './errors.ts';
import type { Progress } from './health.ts';
import type { Limits } from './limits.ts';
import { begin, type Run } from './run.ts';
import { seedOf, type Wishes, wishesOf } from './sampling.ts';
import { type ChatBody, type CompletionBody, check, type Schemas } from './schema.ts';

/** What the routes answer with. */
export interface Serving {
  readonly engine: TextEngine;
  readonly tokenizer: Tokenizer;
  readonly model: string;
  readonly created: number;
  readonly limits: Limits;
  readonly schemas: Schemas;
  readonly plainChat: PlainChat;
  readonly progress: Progress;
  readonly onError: (error: unknown) => void;
}

/** POST /v1/chat/completions. */
export async function chatRoute(request: Request, serving: Serving): Promise<Response> {
  const { tokenizer, limits } = serving;
  const given = await readJsonObject(request, limits);
  const { body, ignored } = check<ChatBody>(serving.schemas.chat, given);
  requireModel(body.model, serving.model);
  const wishes = wishesOf(body, tokenizer.size, limits);
  if (body.top_logprobs !== undefined && body.logprobs !== true) {
    throw badField('top_logprobs', body.top_logprobs, 'it only together with "logprobs": true');
  }
  const prompt = encodeConversation(body, tokenizer, serving.plainChat, serving.engine.context);
  const logprobs = body.logprobs ? (body.top_logprobs ?? 0) : undefined;
  const most = body.max_completion_tokens ?? body.max_tokens;
  const requests = requestsOf(serving, wishes, {
    prompts: [{ ids: prompt.ids, param: 'messages' }],
    stop: [...wishes.stop, ...prompt.stop],
    maxTokens: most,
    logprobs,
    answer: true,
  });
  const run = await begin(serving.engine, requests, request.signal, serving.progress);
  const usage = new UsageCounter(wishes.n);
  const head = headOf('chatcmpl', serving);
  const shape = { logprobs: logprobs !== undefined, tools: usesTools(body) };
  return respond(run, serving, ignored, wishes, {
    events: () => {
      const { includeUsage } = wishes;
      return chatEvents(head, requests.length, usage, { ...shape, includeUsage });
    },
    whole: async () =>
      chatCompletion(head, await collect(run, requests.length, usage), usage, shape),
  });
}

/** POST /v1/completions. */
export async function completionRoute(request: Request, serving: Serving): Promise<Response> {
  const { tokenizer, limits } = serving;
  const given = await readJsonObject(request, limits);
  const { body, ignored } = check<CompletionBody>(serving.schemas.completion, given);
  requireModel(body.model, serving.model);
  const wishes = wishesOf(body, tokenizer.size, limits);
  refuseUnbuilt(body, wishes);
  const prompts = promptsOf(body, tokenizer, serving.engine.context);
  if (prompts.length * wishes.n > limits.choices) {
    const found = `${prompts.length} prompts times n ${wishes.n}`;
    throw new ApiError(400, `n: ${found}; expected at most ${limits.choices} answers`, {
      param: 'n',
    });
  }
  const requests = requestsOf(serving, wishes, {
    prompts,
    stop: wishes.stop,
    // As short as OpenAI's when nothing is said.
    maxTokens: body.max_tokens ?? 16,
    logprobs: body.logprobs,
    answer: false,
  });
  const before = requests.map((_, i) =>
    body.echo ? prompts[Math.floor(i / wishes.n)].text() : '',
  );
  const run = await begin(serving.engine, requests, request.signal, serving.progress);
  const usage = new UsageCounter(wishes.n);
  const head = headOf('cmpl', serving);
  const shape = { logprobs: body.logprobs !== undefined, before };
  return respond(run, serving, ignored, wishes, {
    events: () => {
      const { includeUsage } = wishes;
      return completionEvents(head, usage, { ...shape, includeUsage });
    },
    whole: async () =>
      textCompletion(head, await collect(run, requests.length, usage), usage, shape),
  });
}

function refuseUnbuilt(body: CompletionBody, { n }: Wishes): void {
  if (body.suffix !== undefined && body.suffix !== '') {
    throw unsupported('suffix', 'the model continues texts, it does not fill gaps');
  }
  if (body.best_of !== undefined && body.best_of !== n) {
    throw unsupported('best_of', 'answers are not ranked; ask for n of them');
  }
  if (body.echo && body.logprobs !== undefined) {
    throw unsupported('echo', 'together with logprobs it asks for those of the prompt');
  }
}

interface PromptIds {
  readonly ids: Int32Array;
  /** The field that it came from. */
  readonly param: string;
}

function promptsOf(
  { prompt }: CompletionBody,
  tokenizer: Tokenizer,
  context: number,
): readonly (PromptIds & { readonly text: () => string })[] {
  const ofText = (text: string, param: string) => {
    requireRoom(param, text.length, context);
    const ids = refusing(param, () => tokenizer.encode(text, { addSpecial: true }));
    return { ids, param, text: () => text };
  };
  const ofIds = (given: readonly number[], param: string) => {
    const wrong = given.findIndex((id) => id >= tokenizer.size);
    if (wrong >= 0) {
      const expected = `a token id from 0 to ${tokenizer.size - 1}`;
      throw badField(`${param}[${wrong}]`, given[wrong], expected);
    }
    const ids = Int32Array.from(given);
    return { ids, param, text: () => tokenizer.decode(ids) };
  };
  if (typeof prompt === 'string') return [ofText(prompt, 'prompt')];
  if (prompt.every((one) => typeof one === 'number')) return [ofIds(prompt, 'prompt')];
  return (prompt as (string | number[])[]).map((one, i) =>
    typeof one === 'string' ? ofText(one, `prompt[${i}]`) : ofIds(one, `prompt[${i}]`),
  );
}

function requireModel(given: string | undefined, served: string): void {
  if (given !== undefined && given !== served) throw noModel(given, served);
}

interface Asked {
  readonly prompts: readonly PromptIds[];
  readonly stop: readonly string[];
  readonly maxTokens: number | undefined;
  readonly logprobs: number | undefined;
  /** Whether the texts are answers in a conversation. */
  readonly answer: boolean;
}

/** One request to the engine for each answer. A text ends at the context's end at the latest. */
function requestsOf(
  { engine }: Serving,
  wishes: Wishes,
  { prompts, stop, maxTokens, logprobs, answer }: Asked,
): GenerationRequest[] {
  const count = prompts.length * wishes.n;
  if (count > engine.capacity) {
    throw new ApiError(
      400,
      `n asks for ${count} answers; expected at most ${engine.capacity}, as many as the server ` +
        'writes and lets wait at the same time: ask for fewer, or in several requests',
      { param: 'n' },
    );
  }
  return prompts.flatMap(({ ids, param }) => {
    if (ids.length === 0) throw badField(param, '', 'at least one token');
    const left = engine.context - ids.length;
    if (left < 1) {
      throw new ApiError(
        400,
        `${param} has ${ids.length} tokens; expected at most ${engine.context - 1}, ` +
          `for the model's context is ${engine.context} tokens: shorten it`,
        { param, code: 'context_length_exceeded' },
      );
    }
    return Array.from({ length: wishes.n }, (_, choice) => ({
      ...wishes.sampling,
      seed: seedOf(wishes, choice),
      prompt: ids,
      stop,
      maxTokens: maxTokens === undefined ? undefined : Math.min(left, maxTokens),
      logprobs,
      answer,
    }));
  });
}

function headOf(prefix: string, { model }: Serving): Head {
  return {
    id: `${prefix}-${crypto.randomUUID().replaceAll('-', '')}`,
    created: Math.floor(Date.now() / 1000),
    model,
  };
}

interface Forms {
  readonly events: () => Parameters<typeof eventStream>[1];
  readonly whole: () => Promise<object>;
}

async function respond(
  run: Run,
  { onError }: Serving,
  ignored: readonly string[],
  { stream }: Wishes,
  { events, whole }: Forms,
): Promise<Response> {
  const headers = ignoredHeader(ignored);
  if (stream) return eventStream(run, events(), onError, headers);
  return Response.json(await whole(), { headers });
}

/** A misspelt field has no effect; this is where that can be seen. */
function ignoredHeader(ignored: readonly string[]): Record<string, string> {
  if (ignored.length === 0) return {};
  const names = ignored.slice(0, 20).map((name) => name.slice(0, 60).replace(/[^\w.-]/g, '?'));
  return { 'x-ignored-fields': names.join(', ') };
}
