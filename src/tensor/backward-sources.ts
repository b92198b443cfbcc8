import type { Lazy } from './lazy.ts';

/** A running differentiation: what its tensors are computed from. */
interface Differentiation {
  /** What the differentiated tensors hold in memory. */
  readonly sources: readonly Lazy[];
  /** What rules of authors have brought in; each is retained. */
  readonly used: Lazy[];
}

let active: Differentiation | undefined;

/**
 * Runs a differentiation. Rules for gradients that authors gave make tensors while it runs: what
 * these are computed from must live as long as the gradients do.
 *
 * @returns beside the result what the rules have brought in: to be released by the caller
 */
export function whileDifferentiating<T>(
  sources: readonly Lazy[],
  body: () => T,
): { result: T; used: readonly Lazy[] } {
  const outer = active;
  const own: Differentiation = { sources, used: [] };
  active = own;
  try {
    return { result: body(), used: own.used };
  } catch (error) {
    for (const lazy of own.used) lazy.release();
    throw error;
  } finally {
    active = outer;
  }
}

/** What tensors made by a rule are computed from. */
export function differentiatedSources(): readonly Lazy[] {
  return active?.sources ?? [];
}

/** Keeps a gradient's sources until the gradients are made. */
export function useInGradients(lazy: Lazy): void {
  lazy.retain();
  if (active) active.used.push(lazy);
  else lazy.release();
}
