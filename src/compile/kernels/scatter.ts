import { indexingText } from '../../ir/graph/ops/indexing.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, constant, type Index, mul, sub } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Mask } from '../../ir/kernel/types.ts';
import { maxDim } from '../../ir/shape.ts';
import { provenIndex } from '../lower/affine.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { loopOver, vectorAxis } from '../lower/map-kernel.ts';
import { linearIndex } from '../lower/movement.ts';

/** Elements of a thread's share of the columns: whole cache lines, so that no two threads meet. */
const SHARE = 16;

/**
 * Copies x, then puts or adds the updates one after the other in row-major order of the index:
 * equal places always meet in the same order. Threads share the last axis where it is not the one
 * that is indexed, each doing all rows of its columns.
 *
 * @param inPlace x lies where the result goes: nothing is copied
 */
export function buildScatter(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  node: NodeOf<'scatter'>,
  out: Buffer,
  inPlace: boolean,
): void {
  const [x, index, updates] = node.src;
  const { axis, mode } = node.arg;
  const copy = (at: readonly Index[], mask: Mask) => {
    b.store(out, linearIndex(at, x.shape), lowering.evaluate(x, at, mask), mask);
  };
  const what = indexingText('scatter', x.shape, axis);
  const update = (at: readonly Index[], mask: Mask) => {
    const size = maxDim(x.shape[axis]);
    const place =
      provenIndex(index, at, size) ?? b.checked(lowering.evaluate(index, at), size, what);
    const target = linearIndex(
      at.map((i, a) => (a === axis ? place : i)),
      x.shape,
    );
    const value = lowering.evaluate(updates, at, mask);
    const old = () => b.load(out, target, mask);
    b.store(out, target, mode === 'add' ? b.binary('add', old(), value) : value, mask);
  };
  // Lanes may write together only where one index serves them all.
  const last = x.shape.length - 1;
  const along = vectorAxis(index.shape, b.target);
  const together = along !== axis && repeatsAlong(index, along);
  const width = x.shape[last];
  const whole = typeof width === 'number' && (b.target.laneMasks || width % b.lanes === 0);
  if (together && along === last && whole) {
    const vectors = Math.ceil(width / b.lanes);
    const shared = SHARE / b.lanes;
    const share = vectors % shared === 0 ? shared : 1;
    b.loop(vectors / share, 'thread', [], (part) => {
      const columns = (body: typeof copy) => (rows: readonly Index[]) => {
        b.loop(share, 'serial', [], (v) => {
          const vector = add(mul(part, share * b.lanes), add(mul(v, b.lanes), b.laneIndex));
          body([...rows.slice(0, last), vector], [sub(constant(width - 1), vector)]);
        });
      };
      if (!inPlace) loopOver(b, [...x.shape.slice(0, last), 1], -1, 'serial', columns(copy));
      loopOver(b, [...index.shape.slice(0, last), 1], -1, 'serial', columns(update));
    });
    return;
  }
  if (!inPlace) loopOver(b, x.shape, vectorAxis(x.shape, b.target), 'serial', copy);
  loopOver(b, index.shape, together ? along : -1, 'serial', update);
}

function repeatsAlong(index: Node, axis: number): boolean {
  return axis >= 0 && index.op === 'expand' && index.src[0].shape[axis] === 1;
}
