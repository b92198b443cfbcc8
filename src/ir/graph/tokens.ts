import { after } from './build.ts';
import { rebuild } from './rebuild.ts';
import { topological } from './traverse.ts';
import type { Node } from './types.ts';

/**
 * Takes tokens that depend on given nodes out of all `after` nodes: what waits for a value that never
 * comes need not wait.
 *
 * @returns the new outputs, and whether any of their values depends on the given nodes
 */
export function dropTokens(
  outputs: readonly Node[],
  gone: ReadonlySet<number>,
): { outputs: Node[]; reached: boolean } {
  const dependent = new Set(gone);
  for (const node of topological(outputs)) {
    const values = node.op === 'after' ? node.src.slice(0, 1) : node.src;
    if (values.some((s) => dependent.has(s.id))) dependent.add(node.id);
  }
  const rebuilt = rebuild(outputs, (node, original) => {
    if (original.op !== 'after') return node;
    const tokens = node.src.slice(1).filter((_, i) => !dependent.has(original.src[i + 1].id));
    if (tokens.length === node.src.length - 1) return node;
    return tokens.length === 0 ? node.src[0] : after(node.src[0], tokens);
  });
  return { outputs: rebuilt, reached: outputs.some((node) => dependent.has(node.id)) };
}
