/** What scopes can free. */
export interface Disposable {
  dispose(): void;
}

const scopes: Set<Disposable>[] = [];

/** Registers a new handle with the innermost scope. */
export function enter(handle: Disposable): void {
  scopes[scopes.length - 1]?.add(handle);
}

export function leave(handle: Disposable): void {
  for (const scope of scopes) scope.delete(handle);
}

/** All handles inside a result: tensors themselves, in arrays and in plain objects. */
export function* handlesIn(value: unknown): Generator<Disposable> {
  if (typeof value !== 'object' || value === null) return;
  if ('dispose' in value && typeof value.dispose === 'function') {
    yield value as Disposable;
    return;
  }
  if (Array.isArray(value) || value instanceof Map || value instanceof Set) {
    for (const item of value as Iterable<unknown>) yield* handlesIn(item);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) yield* handlesIn(item);
  }
}

function close(scope: Set<Disposable>, result: unknown): void {
  const at = scopes.indexOf(scope);
  scopes.splice(at, 1);
  const outer = scopes[at - 1];
  for (const kept of handlesIn(result)) {
    if (scope.delete(kept)) outer?.add(kept);
  }
  for (const handle of scope) handle.dispose();
}

/** @internal Runs a function and gives the handles it made, which the caller then disposes of. */
export function collecting<T>(body: () => T, into: Set<Disposable>): T {
  scopes.push(into);
  try {
    return body();
  } finally {
    scopes.splice(scopes.indexOf(into), 1);
  }
}

/**
 * Runs a function and then frees every tensor it made, except those in its result (a tensor, an
 * array or a plain object of them). An async function is awaited; do not run two async scopes at
 * the same time, since tensors belong to the scope entered last.
 */
export function scope<T>(body: () => T): T {
  const own = new Set<Disposable>();
  scopes.push(own);
  let result: T;
  try {
    result = body();
  } catch (error) {
    close(own, undefined);
    throw error;
  }
  if (!(result instanceof Promise)) {
    close(own, result);
    return result;
  }
  return result.then(
    (value: unknown) => {
      close(own, value);
      return value;
    },
    (error: unknown) => {
      close(own, undefined);
      throw error;
    },
  ) as T;
}
