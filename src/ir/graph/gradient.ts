import { isFloat } from '../dtype.ts';
import { formatShape, shapesEqual } from '../shape.ts';
import { binary, build, constLike } from './build.ts';
import { OPS } from './ops/table.ts';
import { topological } from './traverse.ts';
import type { Node, OpName, OpRule } from './types.ts';

/** Gradients of the inputs from that of the result; null: there is none. */
export type GradientRule = (g: Node) => readonly (Node | null)[];

/** Weak: a node that is gone needs no entry. */
const ownGradients = new WeakMap<
  Node,
  { readonly inputs: readonly Node[]; readonly rule: GradientRule }
>();

/**
 * Gives a composed function a gradient of its own, where that of its parts would cost more: the
 * gradient of `node` then goes straight to `inputs`, and what lies between is passed over.
 *
 * @param node a result that no other function gives away; all of it depends on the inputs alone
 */
export function withGradient(node: Node, inputs: readonly Node[], rule: GradientRule): Node {
  ownGradients.set(node, { inputs, rule });
  return node;
}

/**
 * Reverse-mode differentiation, graph to graph: the gradients are ordinary nodes, so they fuse like
 * the forward pass and can be differentiated again.
 *
 * @param outputs nodes whose weighted sum is differentiated
 * @param upstream the weight of each output's elements, with its shape and type
 * @param targets nodes to differentiate by
 * @param isStop nodes through which no gradient flows
 * @returns one node for each target, of its shape and type; zeros where nothing depends on it
 */
export function gradientGraph(
  outputs: readonly Node[],
  upstream: readonly Node[],
  targets: readonly Node[],
  isStop: (node: Node) => boolean = () => false,
): Node[] {
  outputs.forEach((node, i) => {
    if (!shapesEqual(node.shape, upstream[i].shape)) {
      const got = formatShape(upstream[i].shape);
      throw new TypeError(`grad: upstream is ${got}; expected ${formatShape(node.shape)}`);
    }
  });
  const order = topological(outputs);
  const needed = dependents(order, targets, isStop);
  const gradients = new Map<number, Node>();
  const accumulate = (node: Node, g: Node) => {
    const known = gradients.get(node.id);
    gradients.set(node.id, known ? binary('add', known, g) : g);
  };
  outputs.forEach((node, i) => {
    accumulate(node, upstream[i]);
  });
  const wanted = new Set(targets.map((t) => t.id));
  for (const node of order.reverse()) {
    const g = gradients.get(node.id);
    if (!g || !needed.has(node.id) || node.src.length === 0) continue;
    if (!wanted.has(node.id)) gradients.delete(node.id);
    if (isStop(node)) continue;
    const own = ownGradients.get(node);
    const rule = OPS[node.op] as OpRule<OpName>;
    const parts = own ? own.rule(g) : (rule.gradient?.(build, node, g) ?? []);
    const sources = own?.inputs ?? node.src;
    parts.forEach((part, i) => {
      const source = sources[i];
      if (part && isFloat(source.dtype) && needed.has(source.id)) accumulate(source, part);
    });
  }
  return targets.map((target) => gradients.get(target.id) ?? constLike(target, 0));
}

/** Nodes through which a target reaches the outputs. */
function dependents(
  order: readonly Node[],
  targets: readonly Node[],
  isStop: (node: Node) => boolean,
): Set<number> {
  const found = new Set(targets.map((t) => t.id));
  for (const node of order) {
    if (!isStop(node) && node.src.some((s) => found.has(s.id))) found.add(node.id);
  }
  return found;
}
