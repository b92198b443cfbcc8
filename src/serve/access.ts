import type { Context, MiddlewareHandler } from 'hono';
import { ApiError } from './errors.ts';

/**
 * Lets only requests with the key pass, whatever they ask for, so that a route added later is closed
 * by itself.
 *
 * @param isPublic names what anybody may have
 */
export function requireKey(
  keys: readonly string[],
  isPublic: (context: Context) => boolean,
): MiddlewareHandler {
  const known = keys.map((key) => new TextEncoder().encode(key));
  return async (context, next) => {
    if (isPublic(context)) return next();
    const header = context.req.header('authorization');
    const given = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
    if (given === undefined) {
      throw unauthorized('the API key is missing; expected the header authorization: Bearer KEY');
    }
    const bytes = new TextEncoder().encode(given);
    // All keys are compared, and each to its end: time tells nothing.
    const matches = known.map((key) => same(key, bytes));
    if (!matches.includes(true)) throw unauthorized('the API key is wrong');
    return next();
  };
}

function unauthorized(message: string): ApiError {
  return new ApiError(401, message, {
    code: 'invalid_api_key',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

function same(key: Uint8Array, given: Uint8Array): boolean {
  let difference = key.length ^ given.length;
  for (let i = 0; i < given.length; i++) difference |= given[i] ^ key[i % key.length];
  return difference === 0;
}

/**
 * Answers only to the names of this machine. A foreign page could otherwise give its own name our
 * address and talk to a server that nobody else can reach (DNS rebinding).
 */
export function requireLocalHost(): MiddlewareHandler {
  return async (context, next) => {
    const { hostname } = new URL(context.req.url);
    if (!isLoopback(hostname)) {
      throw new ApiError(
        403,
        `this server answers to localhost only, not to ${JSON.stringify(hostname)}; ` +
          'start it with --host or with --api-key to reach it by another name',
        { code: 'host_not_allowed' },
      );
    }
    return next();
  };
}

/** Whether a host's name or address is that of this machine for itself. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|.+\.localhost|127(?:\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}
