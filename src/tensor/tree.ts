import { show } from '../base/errors.ts';
import { Cell, type Parameter } from './cell.ts';
import { Tensor } from './tensor.ts';

/** Something with named parameters: a layer or a model. */
export interface Parameterised {
  parameters(): Map<string, Parameter>;
}

export function isParameterised(value: unknown): value is Parameterised {
  return (
    typeof value === 'object' &&
    value !== null &&
    'parameters' in value &&
    typeof value.parameters === 'function'
  );
}

/** Arguments and results of transformed functions: tensors in arrays, maps and plain objects. */
export type Tree = unknown;

/** Replaces the tensors of a tree in a fixed order; what is no tensor goes to `other`. */
export function mapTensors(
  tree: Tree,
  visit: (tensor: Tensor, path: string) => unknown,
  other: (value: unknown, path: string) => unknown = (value) => value,
  path = '',
): unknown {
  if (tree instanceof Tensor) return visit(tree, path);
  if (Array.isArray(tree)) {
    return tree.map((item, i) => mapTensors(item, visit, other, `${path}[${i}]`));
  }
  if (tree instanceof Map) {
    return new Map([...tree].map(([k, v]) => [k, mapTensors(v, visit, other, `${path}.${k}`)]));
  }
  if (isPlain(tree)) {
    const entries = Object.entries(tree);
    return Object.fromEntries(
      entries.map(([k, v]) => [k, mapTensors(v, visit, other, `${path}.${k}`)]),
    );
  }
  return other(tree, path);
}

export function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** Gradients by something have its structure: of a model, a map from parameter names. */
export type GradientsOf<T> = T extends Tensor | Cell
  ? Tensor
  : T extends Parameterised
    ? Map<string, Tensor>
    : T extends Map<infer K, infer V>
      ? Map<K, GradientsOf<V>>
      : T extends readonly unknown[]
        ? { -readonly [K in keyof T]: GradientsOf<T[K]> }
        : { [K in keyof T]: GradientsOf<T[K]> };

/** What can be differentiated by: float tensors and cells, models, and structures of them. */
export function mapLeaves(
  tree: unknown,
  visit: (leaf: Tensor, path: string) => Tensor,
  path = '',
): unknown {
  if (tree instanceof Tensor) return visit(tree, path);
  if (tree instanceof Cell) return visit(tree.value, path || tree.name);
  if (isParameterised(tree)) {
    const trainable = [...tree.parameters()].filter(([, p]) => p.trainable);
    return new Map(trainable.map(([name, p]) => [name, visit(p.value, name)]));
  }
  if (Array.isArray(tree)) return tree.map((item, i) => mapLeaves(item, visit, `${path}[${i}]`));
  if (tree instanceof Map) {
    return new Map([...tree].map(([k, v]) => [k, mapLeaves(v, visit, `${path}.${k}`)]));
  }
  if (isPlain(tree)) {
    const entries = Object.entries(tree);
    return Object.fromEntries(entries.map(([k, v]) => [k, mapLeaves(v, visit, `${path}.${k}`)]));
  }
  throw new TypeError(
    `grad: the argument${path ? ` at ${path}` : ''} is ${show(tree)}; ` +
      'expected tensors, cells, a model, or arrays, maps and plain objects of them',
  );
}

/** The leaves of `mapLeaves` in their order; of cells and parameters the present values. */
export function leafTensors(tree: unknown): Tensor[] {
  const leaves: Tensor[] = [];
  mapLeaves(tree, (leaf) => {
    leaves.push(leaf);
    return leaf;
  });
  return leaves;
}

/** Tensors, one for each leaf, in the structure of the tree. */
export function likeLeaves<A>(tree: A, tensors: readonly Tensor[]): GradientsOf<A> {
  let next = 0;
  return mapLeaves(tree, () => tensors[next++]) as GradientsOf<A>;
}
