import { ApiError } from './errors.ts';
import type { Limits } from './limits.ts';

/**
 * The JSON object that a request carries.
 *
 * @throws ApiError 415 for another type of content, 413 for a body beyond the limit, 408 for one
 *   that does not arrive, 400 for what is no JSON object of moderate depth
 */
export async function readJsonObject(
  request: Request,
  limits: Limits,
): Promise<Record<string, unknown>> {
  // Asking for this type also keeps other pages' forms out: browsers ask before they send it.
  const type = request.headers.get('content-type') ?? '';
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    const found = type === '' ? 'missing' : JSON.stringify(type);
    throw new ApiError(415, `content-type is ${found}; expected application/json`);
  }
  const text = decode(await readBytes(request, limits));
  checkDepth(text, limits.depth);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ApiError(400, `the body is no valid JSON: ${(error as Error).message}`, {
      code: 'invalid_json',
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError(400, 'the body is no JSON object; expected {"model": ..., ...}', {
      code: 'invalid_json',
    });
  }
  return value as Record<string, unknown>;
}

async function readBytes(request: Request, limits: Limits): Promise<Uint8Array> {
  const tooLarge = () =>
    new ApiError(413, `the body is too large; expected at most ${limits.bodyBytes} bytes`, {
      code: 'body_too_large',
    });
  if (Number(request.headers.get('content-length') ?? 0) > limits.bodyBytes) throw tooLarge();
  const reader = request.body?.getReader();
  if (!reader) return new Uint8Array();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new ApiError(408, `the body took more than ${limits.bodySeconds} s to arrive`));
  }, limits.bodySeconds * 1000);
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) break;
      parts.push(value);
      size += value.byteLength;
      if (size > limits.bodyBytes) throw tooLarge();
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(400, 'the body broke off', { code: 'invalid_json' });
  } finally {
    clearTimeout(timer);
  }
  if (parts.length === 1) return parts[0];
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ApiError(400, 'the body is no valid UTF-8', { code: 'invalid_json' });
  }
}

/** Templates and schemas walk a request by recursion, so its depth is bounded before they see it. */
function checkDepth(text: string, most: number): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (quoted) {
      if (code === 0x5c) i++;
      else if (code === 0x22) quoted = false;
    } else if (code === 0x22) quoted = true;
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > most) {
        throw new ApiError(400, `the body nests deeper than ${most} levels`, {
          code: 'too_deep',
        });
      }
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
}
