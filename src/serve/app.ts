import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { badArgument } from '../base/errors.ts';
import type { TextEngine } from '../generate/engine-types.ts';
import type { Tokenizer } from '../io/index.ts';
import { requireKey, requireLocalHost } from './access.ts';
import { chatRoute, completionRoute, type Serving } from './answering.ts';
import { type PlainChat, QUESTIONS_AND_ANSWERS } from './conversation.ts';
import { ApiError, closing, noModel, toApiError } from './errors.ts';
import { Health, type HealthOptions, Progress } from './health.ts';
import { DEFAULT_LIMITS, type Limits } from './limits.ts';
import { isPageRequest, type PageFiles, servePage } from './page.ts';
import { chatSchema, completionSchema } from './schema.ts';

export interface AppOptions {
  readonly engine: TextEngine;
  readonly tokenizer: Tokenizer;
  /** The name that clients ask for. */
  readonly model: string;
  /** Asked for on every route but the page and /health; none: everybody may. */
  readonly apiKeys?: readonly string[];
  /** Origins of pages that may use the API beside our own; '*' for all. */
  readonly cors?: readonly string[];
  /** Refuses requests for any name but this machine's own (default false). */
  readonly localOnly?: boolean;
  readonly limits?: Partial<Limits>;
  readonly health?: HealthOptions;
  /** The files of the chat page; undefined: it is not built. */
  readonly page?: PageFiles | undefined;
  /** How conversations are written where the tokenizer has no chat template. */
  readonly plainChat?: PlainChat;
  /** Aborted when the server shuts down: what runs is finished, what comes is refused. */
  readonly closing?: AbortSignal;
  /** Is told of errors that are nobody's request's fault (default: standard error). */
  readonly onError?: (error: unknown) => void;
}

/**
 * OpenAI's interface to a model, as a function of requests: any host that knows Request and
 * Response can run it. Routes: GET /v1/models, GET /v1/models/:id, POST /v1/chat/completions,
 * POST /v1/completions, GET /health, and the chat page at /.
 *
 * @throws TypeError for an API key that is empty or holds a space
 */
export function createApp(options: AppOptions): Hono {
  const { engine, tokenizer, model, apiKeys = [], onError = console.error } = options;
  for (const key of apiKeys) {
    if (!/^\S+$/.test(key)) {
      throw badArgument('createApp', 'apiKeys', key, 'a key of at least one character, no spaces');
    }
  }
  const progress = new Progress();
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const serving: Serving = {
    engine,
    tokenizer,
    model,
    created: Math.floor(Date.now() / 1000),
    limits,
    schemas: { chat: chatSchema(limits), completion: completionSchema(limits) },
    plainChat: options.plainChat ?? QUESTIONS_AND_ANSWERS,
    progress,
    onError,
  };
  const app = new Hono();
  app.onError((error) => {
    const refusal = toApiError(error);
    if (refusal.status === 500) onError(error);
    return refusal.response();
  });
  guard(app, options);
  const health = new Health(engine, [tokenizer.bosId ?? 0], progress, options.health);
  app.get('/health', async () => {
    const wrong = await health.check();
    const { running, waiting } = engine.stats();
    const status = wrong === undefined ? 'ok' : 'failed';
    const body = { status, model, running, waiting, ...(wrong !== undefined && { error: wrong }) };
    return Response.json(body, { status: wrong === undefined ? 200 : 503 });
  });
  const card = { id: model, object: 'model', created: serving.created, owned_by: 'tersor' };
  app.get('/v1/models', () => Response.json({ object: 'list', data: [card] }));
  app.get('/v1/models/:id{.+}', (context) => {
    const id = context.req.param('id');
    if (id !== model) throw noModel(id, model);
    return Response.json(card);
  });
  app.post('/v1/chat/completions', (context) => chatRoute(context.req.raw, serving));
  app.post('/v1/completions', (context) => completionRoute(context.req.raw, serving));
  app.get('/*', (context) => {
    if (isPageRequest(context.req.path)) return servePage(context.req.path, options.page);
    throw unknownRoute(context);
  });
  app.all('*', (context) => {
    throw unknownRoute(context);
  });
  return app;
}

/** What stands before every route, in this order. */
function guard(app: Hono, { apiKeys = [], cors: origins, localOnly, closing: signal }: AppOptions) {
  if (localOnly) app.use('*', requireLocalHost());
  if (origins !== undefined && origins.length > 0) {
    app.use(
      '/v1/*',
      cors({
        origin: origins.includes('*') ? '*' : [...origins],
        allowMethods: ['GET', 'POST'],
        exposeHeaders: ['Retry-After', 'X-Ignored-Fields'],
        maxAge: 600,
      }),
    );
  }
  if (apiKeys.length > 0) {
    const isPublic = ({ req }: Context) =>
      (req.method === 'GET' || req.method === 'HEAD') &&
      (req.path === '/health' || isPageRequest(req.path));
    app.use('*', requireKey(apiKeys, isPublic));
  }
  app.use('*', async (_, next) => {
    if (signal?.aborted) throw closing();
    await next();
  });
}

const METHODS: readonly (readonly [pattern: RegExp, method: string])[] = [
  [/^\/v1\/(?:chat\/)?completions$/, 'POST'],
  [/^\/v1\/models(?:\/.+)?$/, 'GET'],
  [/^\/health$/, 'GET'],
];

function unknownRoute({ req }: Context): ApiError {
  const { method, path } = req;
  const [, allowed] = METHODS.find(([pattern]) => pattern.test(path)) ?? [];
  const known = allowed ?? (isPageRequest(path) ? 'GET' : undefined);
  if (known === undefined) {
    return new ApiError(404, `there is no ${path.slice(0, 200)} here`, { code: 'unknown_url' });
  }
  return new ApiError(405, `${path.slice(0, 200)} does not take ${method}; expected ${known}`, {
    code: 'method_not_allowed',
    headers: { allow: known },
  });
}
