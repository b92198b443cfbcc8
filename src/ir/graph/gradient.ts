import { isFloat } from '../dtype.ts';
import { formatShape, shapesEqual } from '../shape.ts';
import { binary, build, constLike, mark } from './build.ts';
import { recompute, regionKey } from './checkpoint.ts';
import { OPS } from './ops/table.ts';
import { substitute } from './rebuild.ts';
import { topological } from './traverse.ts';
import type { Backward, GradientBuild, Node, NodeOf, OpName, OpRule } from './types.ts';

const rules: GradientBuild = { ...build, gradients: gradientGraph };

/** Gradients of the inputs from that of the result; null: there is none. */
export type GradientRule = (g: Node) => readonly (Node | null)[];

/**
 * Gives a composed function a gradient of its own, where that of its parts would cost more: the
 * gradient of the result then goes straight to `inputs`, and what lies between is passed over.
 *
 * @param node a result that depends on the inputs alone
 * @param rule may use the inputs as it finds them here
 */
export function withGradient(node: Node, inputs: readonly Node[], rule: GradientRule): Node {
  const backward: Backward = (upstream, present) => {
    const parts = rule(upstream);
    const known = new Map(inputs.map((input, i) => [input.id, present[i]]));
    // In a copy (a batch, a region computed again) the inputs are others. The upstream is as it should be.
    known.set(upstream.id, upstream);
    const found = substitute(
      parts.filter((part) => part !== null),
      known,
    );
    let next = 0;
    return parts.map((part) => (part ? found[next++] : null));
  };
  return mark(node, inputs, { kind: 'custom', backward });
}

/**
 * Reverse-mode differentiation, graph to graph: the gradients are ordinary nodes, so they fuse like
 * the forward pass and can be differentiated again.
 *
 * @param outputs nodes whose weighted sum is differentiated
 * @param upstream the weight of each output's elements, with its shape and type
 * @param targets nodes to differentiate by
 * @returns one node for each target, of its shape and type; zeros where nothing depends on it
 */
export function gradientGraph(
  outputs: readonly Node[],
  upstream: readonly Node[],
  targets: readonly Node[],
): Node[] {
  outputs.forEach((node, i) => {
    if (!shapesEqual(node.shape, upstream[i].shape)) {
      const got = formatShape(upstream[i].shape);
      throw new TypeError(`grad: upstream is ${got}; expected ${formatShape(node.shape)}`);
    }
  });
  const found = accumulateGradients(outputs, upstream, targets, new Map());
  return targets.map((target) => found.get(target.id) ?? constLike(target, 0));
}

/**
 * Gradients of targets by id, without those that nothing reaches.
 *
 * @param gradients what targets already got from elsewhere: their sums go on from there
 */
function accumulateGradients(
  outputs: readonly Node[],
  upstream: readonly Node[],
  targets: readonly Node[],
  gradients: Map<number, Node>,
): ReadonlyMap<number, Node> {
  const order = topological(outputs);
  const wanted = new Set(targets.map((t) => t.id));
  const needed = dependents(order, wanted);
  const regions = regionsOf(order, needed);
  const accumulate = (node: Node, g: Node) => {
    const known = gradients.get(node.id);
    gradients.set(node.id, known ? binary('add', known, g) : g);
  };
  outputs.forEach((node, i) => {
    accumulate(node, upstream[i]);
  });
  for (const node of order.reverse()) {
    if (!needed.has(node.id) || node.src.length === 0) continue;
    const region = node.op === 'mark' ? regions.get(regionKey(node)) : undefined;
    if (region) {
      // The first result of a region is met last: by then the gradients of all of them are known.
      if (region[0] !== node) continue;
      for (const result of region) requireAllInputs(result, wanted);
      accumulateRegion(region, gradients, needed);
      continue;
    }
    const parts = ownGradients(node, gradients.get(node.id));
    if (!wanted.has(node.id)) gradients.delete(node.id);
    if (node.op === 'mark' && parts.length > 0) requireAllInputs(node, wanted);
    parts.forEach((part, i) => {
      const source = node.src[i];
      if (part && isFloat(source.dtype) && needed.has(source.id)) accumulate(source, part);
    });
  }
  return gradients;
}

function ownGradients(node: Node, g: Node | undefined): readonly (Node | null)[] {
  if (!g) return [];
  const rule = OPS[node.op] as OpRule<OpName>;
  return rule.gradient?.(rules, node, g) ?? [];
}

/** Sources through which gradients flow. */
function differentiable(node: Node): readonly Node[] {
  if (node.op === 'after') return node.src.slice(0, 1);
  if (node.op !== 'mark') return node.src;
  return node.arg.rule.kind === 'stop' ? [] : node.src.slice(1);
}

/** Nodes through which a target reaches the outputs. */
function dependents(order: readonly Node[], targets: ReadonlySet<number>): Set<number> {
  const found = new Set(targets);
  for (const node of order) {
    if (differentiable(node).some((s) => found.has(s.id))) found.add(node.id);
  }
  return found;
}

/** The results of each checkpointed region, in topological order. */
function regionsOf(
  order: readonly Node[],
  needed: ReadonlySet<number>,
): Map<string, NodeOf<'mark'>[]> {
  const regions = new Map<string, NodeOf<'mark'>[]>();
  for (const node of order) {
    if (node.op !== 'mark' || node.arg.rule.kind !== 'checkpoint' || !needed.has(node.id)) continue;
    const key = regionKey(node);
    const known = regions.get(key);
    if (known) known.push(node);
    else regions.set(key, [node]);
  }
  return regions;
}

/**
 * Adds the gradients of a region's inputs, by computing it once more. Sums go on from what the inputs
 * got before, so that they are added in the same order as without the region, to the same bits.
 */
function accumulateRegion(
  region: readonly NodeOf<'mark'>[],
  gradients: Map<number, Node>,
  needed: ReadonlySet<number>,
): void {
  const reached = region.filter((node) => gradients.has(node.id));
  if (reached.length === 0) return;
  const upstreams = reached.map((node) => gradients.get(node.id) as Node);
  const { values, inputs } = recompute(reached, upstreams);
  const [, ...sources] = region[0].src;
  const asked = sources.flatMap((source, i) =>
    needed.has(source.id) && isFloat(source.dtype) ? [{ source, input: inputs[i] }] : [],
  );
  const before = asked.flatMap(({ source, input }) => {
    const known = gradients.get(source.id);
    return known ? [[input.id, known] as const] : [];
  });
  const targets = asked.map(({ input }) => input);
  const found = accumulateGradients(values, upstreams, targets, new Map(before));
  for (const { source, input } of asked) {
    const sum = found.get(input.id);
    if (sum) gradients.set(source.id, sum);
  }
}

/** What a marked value depends on beside its inputs would get no gradient: refused. */
function requireAllInputs({ src, arg }: NodeOf<'mark'>, targets: ReadonlySet<number>): void {
  const [value, ...inputs] = src;
  const known = new Set(inputs.map((i) => i.id));
  const beside = topological([value], (n) => known.has(n.id)).find(
    (n) => targets.has(n.id) && !known.has(n.id),
  );
  if (!beside) return;
  const type = `${beside.dtype}${formatShape(beside.shape)}`;
  throw new TypeError(
    arg.rule.kind === 'custom'
      ? `customGradient: the function depends on a tensor (${type}) that is differentiated by and is ` +
          'no argument of it; pass it as an argument, or use stopGradient on it'
      : `checkpoint: a tensor made inside the function (${type}) is differentiated by; ` +
          'return it from the function, or leave out checkpoint',
  );
}
