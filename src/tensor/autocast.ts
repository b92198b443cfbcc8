import { badArgument } from '../base/errors.ts';
import { isFloat } from '../ir/dtype.ts';
import * as g from '../ir/graph/build.ts';
import type { Node, UnaryFn } from '../ir/graph/types.ts';
import { Flag } from './flag.ts';
import type { Handle } from './handle.ts';
import { requireSync } from './trace.ts';

/** What products are computed in: f32 is what tensors are; the others round the operands first. */
export const PRECISIONS = ['f32', 'bf16', 'f16'] as const;
export type Precision = (typeof PRECISIONS)[number];

const setting = new Flag<Precision>('f32', 'autocast');

/**
 * Runs a function in mixed precision (Micikevicius et al. 2018; torch.autocast). In it products
 * (matmul, linear, einsum, convolutions, attention) round their operands to `precision`, add in f32
 * and round the result once; their gradients are such products, too. What needs range or many digits
 * (softmax and the like, exponentials, logarithms, powers, reciprocals, sums, running sums,
 * normalisation, losses) takes 16-bit operands as f32 and gives f32. All else keeps the types it
 * gets, mixed ones by the usual promotion. Tensors that go in stay as they are, so gradients of f32
 * parameters are f32. f64, integers and packed weights are left alone.
 *
 * It may be nested, where 'f32' means without, and be used in and around jit, gradients, vmap and
 * checkpoints; a gradient that is given by hand runs as its function did.
 *
 * @param f builds its result without waiting
 * @throws TypeError for an async function, which would go on outside
 *
 * @example valueAndGrad((m: Llama) => autocast('bf16', () => m.loss(x, y)))(model)
 */
export function autocast<T>(precision: Precision, f: () => T): T {
  requirePrecision('autocast', precision);
  return setting.during(precision, () => requireSync('autocast', f()));
}

/** @throws TypeError naming what there is */
export function requirePrecision(where: string, precision: unknown): void {
  if (PRECISIONS.includes(precision as Precision)) return;
  throw badArgument(where, 'precision', precision, PRECISIONS.join(', '));
}

/** @internal The precision that holds here. */
export function presentPrecision(): Precision {
  return setting.value;
}

/** @internal The operands of a product, in the type in which they are multiplied. */
export function productNodes<N extends readonly Node[]>(...nodes: N): { [K in keyof N]: Node } {
  const to = setting.value;
  const isMeant = ({ dtype }: Node) => isFloat(dtype) && dtype !== 'f64';
  const casts = to !== 'f32' && nodes.every(isMeant);
  return (casts ? nodes.map((node) => g.cast(node, to)) : nodes) as { [K in keyof N]: Node };
}

/** @internal The same for tensors. */
export function productOperands<H extends Handle>(...operands: readonly H[]): H[] {
  const nodes = productNodes(...operands.map(({ node }) => node));
  return operands.map((x, i) => (x.node === nodes[i] ? x : x.derive(nodes[i])));
}

/** @internal What an operation takes that needs full precision: small floats as f32 in autocast. */
export function wideNode(node: Node): Node {
  const { dtype } = node;
  const isWide = !isFloat(dtype) || dtype === 'f32' || dtype === 'f64';
  return isWide || setting.value === 'f32' ? node : g.cast(node, 'f32');
}

/** @internal The same for a tensor. */
export function wide<H extends Handle>(x: H): H {
  const node = wideNode(x.node);
  return node === x.node ? x : x.derive(node);
}

/** @internal Functions that need full precision. */
export const WIDE_FUNCTIONS: ReadonlySet<UnaryFn> = new Set([
  'exp',
  'exp2',
  'expm1',
  'log',
  'log2',
  'log1p',
  'reciprocal',
  'rsqrt',
  'tan',
]);
