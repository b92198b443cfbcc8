import { REDUCE } from '../../ir/graph/functions.ts';
import { scanIdentity } from '../../ir/graph/ops/scan.ts';
import type { NodeOf, ScanFn } from '../../ir/graph/types.ts';
import { type KernelBuilder, valueDType } from '../../ir/kernel/builder.ts';
import { hasLane } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Value } from '../../ir/kernel/types.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { loopOver, vectorAxis } from '../lower/map-kernel.ts';
import { dimIndex, linearIndex } from '../lower/movement.ts';
import { identityValue, lowerBinary, lowerUnary } from '../lower/scalar.ts';

/**
 * Joins the elements of the axis one after the other, so that every result has one order of
 * operations. Vectors run along another axis: each lane is a scan of its own.
 */
export function buildScan(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  node: NodeOf<'scan'>,
  out: Buffer,
): void {
  const [x] = node.src;
  const { fn, axis } = node.arg;
  const start = identityValue(b, valueDType(node.dtype), scanIdentity(fn, node.dtype));
  const others = x.shape.map((dim, i) => (i === axis ? 1 : dim));
  loopOver(b, others, vectorAxis(others, b.target), 'thread', (place, mask) => {
    const first = place.some(hasLane) ? b.splat(start) : start;
    b.loop(dimIndex(x.shape[axis]), 'serial', [first], (i, [before]) => {
      const at = place.map((p, a) => (a === axis ? i : p));
      const element = lowering.evaluate(x, at, mask);
      const sum = combine(b, fn, before, first.lanes === 1 ? element : b.splat(element));
      b.store(out, linearIndex(at, x.shape), sum, mask);
      return [sum];
    });
  });
}

function combine(b: KernelBuilder, fn: ScanFn, x: Value, y: Value): Value {
  return fn === 'logaddexp' ? logAddExp(b, x, y) : lowerBinary(b, REDUCE[fn].combine, x, y);
}

/** log(e^x + e^y) from the larger one up: nothing overflows, and infinities keep their place. */
function logAddExp(b: KernelBuilder, x: Value, y: Value): Value {
  const top = b.binary('max', x, y);
  const below = b.binary('sub', b.binary('min', x, y), top);
  const more = lowerUnary(b, 'log1p', lowerUnary(b, 'exp', below));
  const infinite = b.compare('eq', b.unary('abs', top), b.const(x.dtype, Number.POSITIVE_INFINITY));
  return b.select(infinite, top, b.binary('add', top, more));
}
