import { show } from '../base/errors.ts';
import { formatShape } from '../ir/shape.ts';
import { Tensor } from './tensor.ts';
import { isPlain } from './tree.ts';

/**
 * Batch axes in the structure of what they belong to: a number or null stands for everything below
 * it. Null: there is no batch axis, every member has the same value.
 */
export type AxesTree =
  | number
  | null
  | readonly AxesTree[]
  | ReadonlyMap<string, AxesTree>
  | { readonly [key: string]: AxesTree };

/** A tree as `mapWithAxes` walks it. */
export interface AxesWalk {
  /** The option, for errors. */
  readonly option: 'inAxes' | 'outAxes';
  readonly visit: (tensor: Tensor, axis: number | null, path: string) => Tensor;
}

/** Replaces the tensors of a tree; what is neither tensor nor structure stays as it is. */
export function mapWithAxes(walk: AxesWalk, tree: unknown, axes: AxesTree, path: string): unknown {
  const wrong = (expected: string) =>
    new TypeError(
      `vmap: ${walk.option} ${path ? `at ${path} ` : ''}is ${show(axes)}; expected ${expected}`,
    );
  const isSimple = axes === null || typeof axes === 'number';
  if (tree instanceof Tensor) {
    if (!isSimple) throw wrong(`an axis of ${formatShape(tree.shape)} or null`);
    return walk.visit(tree, axes, path);
  }
  const below = (key: string | number): AxesTree => {
    if (isSimple) return axes;
    const found = axes instanceof Map ? axes.get(key) : (axes as Record<string, AxesTree>)[key];
    if (found === undefined) throw wrong(`an entry for ${show(key)}`);
    return found;
  };
  if (Array.isArray(tree)) {
    if (!isSimple && (!Array.isArray(axes) || axes.length !== tree.length))
      throw wrong(`a number, null, or ${tree.length} entries`);
    return tree.map((item, i) => mapWithAxes(walk, item, below(i), `${path}[${i}]`));
  }
  if (tree instanceof Map || isPlain(tree)) {
    if (Array.isArray(axes)) throw wrong('a number, null, or entries by name');
    const entries = tree instanceof Map ? [...tree] : Object.entries(tree);
    const mapped = entries.map(
      ([key, item]) => [key, mapWithAxes(walk, item, below(key), `${path}.${key}`)] as const,
    );
    return tree instanceof Map ? new Map(mapped) : Object.fromEntries(mapped);
  }
  if (!isSimple) throw wrong('a number or null');
  return tree;
}
