import { show } from '../base/errors.ts';

/** The statuses that an API answers a refused request with. */
export type ErrorStatus = 400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 500 | 503;

export interface ErrorDetail {
  /** The field of the request at fault, as a path: `messages[0].content`. */
  readonly param?: string;
  /** A word for programs, such as `context_length_exceeded`. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal, in the shape in which OpenAI's clients expect it. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: ErrorStatus;
  readonly detail: ErrorDetail;

  constructor(status: ErrorStatus, message: string, detail: ErrorDetail = {}) {
    super(message);
    this.status = status;
    this.detail = detail;
  }

  /** The body: `{error: {message, type, param, code}}`. */
  body() {
    const { param = null, code = null } = this.detail;
    return { error: { message: this.message, type: typeOf(this.status), param, code } };
  }

  response(): Response {
    return Response.json(this.body(), {
      status: this.status,
      headers: { ...this.detail.headers },
    });
  }
}

function typeOf(status: ErrorStatus): string {
  switch (status) {
    case 401:
      return 'authentication_error';
    case 403:
      return 'permission_error';
    case 429:
      return 'rate_limit_error';
    case 500:
      return 'server_error';
    case 503:
      return 'service_unavailable';
    case 400:
    case 404:
    case 405:
    case 408:
    case 413:
    case 415:
      return 'invalid_request_error';
    default:
      return status satisfies never;
  }
}

/** A field that cannot be used: names it, shows it, says what was expected. */
export function badField(param: string, value: unknown, expected: string, code?: string): ApiError {
  const shown = brief(value);
  return new ApiError(400, `${param} is ${shown}; expected ${expected}`, {
    param,
    ...(code !== undefined && { code }),
  });
}

/** A field of OpenAI's interface that is not built here and would change the answer. */
export function unsupported(param: string, why: string): ApiError {
  return new ApiError(400, `${param} is not supported: ${why}`, {
    param,
    code: 'unsupported_parameter',
  });
}

const LONGEST = 120;

function brief(value: unknown): string {
  if (value === undefined) return 'missing';
  // What came as JSON is shown as JSON: objects have no shorter text.
  const text = typeof value === 'object' ? JSON.stringify(value) : show(value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}... (${text.length} characters)`;
}

/** What the library calls the fields of a request, and what the API does. */
const FIELDS: Readonly<Record<string, string>> = {
  temperature: 'temperature',
  topK: 'top_k',
  topP: 'top_p',
  minP: 'min_p',
  repetitionPenalty: 'repetition_penalty',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  logitBias: 'logit_bias',
  seed: 'seed',
  maxTokens: 'max_tokens',
  stop: 'stop',
  logprobs: 'logprobs',
};

/**
 * What went wrong, as a refusal: a full queue becomes 429, arguments that the engine refuses 400,
 * anything else 500, whose cause is told to the one who runs the server and not to the client.
 */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const { name, message } = error instanceof Error ? error : { name: '', message: String(error) };
  if (name === 'QueueFullError') {
    return new ApiError(429, 'too many requests wait already; try again in a moment', {
      code: 'queue_full',
      headers: { 'retry-after': '1' },
    });
  }
  if (name === 'EngineClosedError') return closing();
  if (error instanceof TypeError || error instanceof RangeError) {
    const named = /^(?:[\w ]+: )?(\w+) is /.exec(message)?.[1];
    const param = named !== undefined && Object.hasOwn(FIELDS, named) ? FIELDS[named] : undefined;
    if (param !== undefined) return new ApiError(400, message, { param });
  }
  return new ApiError(500, 'the server failed to answer; its log says why', {
    code: 'internal_error',
  });
}

export function noModel(id: string, served: string): ApiError {
  return new ApiError(
    404,
    `the model ${JSON.stringify(id.slice(0, 200))} does not exist; this server has ` +
      JSON.stringify(served),
    { param: 'model', code: 'model_not_found' },
  );
}

export function closing(): ApiError {
  return new ApiError(503, 'the server is shutting down; send the request to another one', {
    code: 'shutting_down',
    headers: { 'retry-after': '5', connection: 'close' },
  });
}
