import { indexingText } from '../../ir/graph/ops/indexing.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Buffer } from '../../ir/kernel/types.ts';
import { maxDim } from '../../ir/shape.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { loopOver, vectorAxis } from '../lower/map-kernel.ts';
import { linearIndex } from '../lower/movement.ts';

/**
 * Copies x, then puts or adds the updates one after the other in row-major order of the index:
 * equal places always meet in the same order.
 */
export function buildScatter(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  node: NodeOf<'scatter'>,
  out: Buffer,
): void {
  const [x, index, updates] = node.src;
  const { axis, mode } = node.arg;
  loopOver(b, x.shape, vectorAxis(x.shape), (at) => {
    b.store(out, linearIndex(at, x.shape), lowering.evaluate(x, at));
  });
  // Lanes may write together only where one index serves them all.
  const along = vectorAxis(index.shape);
  const vector = along !== axis && repeatsAlong(index, along) ? along : -1;
  const what = indexingText('scatter', x.shape, axis);
  loopOver(b, index.shape, vector, (at) => {
    const place = b.checked(lowering.evaluate(index, at), maxDim(x.shape[axis]), what);
    const target = linearIndex(
      at.map((i, a) => (a === axis ? place : i)),
      x.shape,
    );
    const update = lowering.evaluate(updates, at);
    const value = mode === 'add' ? b.binary('add', b.load(out, target), update) : update;
    b.store(out, target, value);
  });
}

function repeatsAlong(index: Node, axis: number): boolean {
  return axis >= 0 && index.op === 'expand' && index.src[0].shape[axis] === 1;
}
