import { dotParts } from '../../ir/graph/ops/dot.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { kernelCost } from '../../ir/kernel/cost.ts';
import { add, constant, type Index, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Mask, Value } from '../../ir/kernel/types.ts';
import type { Shape } from '../../ir/shape.ts';
import { buildPairGemm } from '../kernels/gemm-pairs.ts';
import type { Lines } from '../kernels/pair-packing.ts';
import { opClass } from '../op-class.ts';
import { axisRuns } from './axis-runs.ts';
import { type ExpressionLowering, splitIndex } from './expression.ts';
import {
  buildWith,
  finishRoots,
  type KernelPlan,
  type LoweredKernel,
  type LowerOptions,
} from './kernel-parts.ts';
import { hasMask, pushIndex } from './movement.ts';

/**
 * True for a product that is made of pairs of bf16. Types and shape alone decide, since its sums are
 * other ones than those of f32.
 */
export function isPairProduct(core: NodeOf<'dot'>, { kernelTarget }: LowerOptions): boolean {
  if (kernelTarget.bf16 === undefined) return false;
  if (!core.src.every((operand) => operand.dtype === 'bf16')) return false;
  return Object.values(dotParts(core)).every((shape) => axisRuns(shape).length <= 1);
}

/** All places of some axes as one size. */
function sizeOfAxes(shape: Shape): Index {
  return axisRuns(shape)[0]?.size ?? constant(1);
}

/** One operand: an element of a line (a row or a column) at a depth. */
interface Operand {
  readonly lines: Index;
  readonly read: (
    lowering: ExpressionLowering,
    group: Index,
    line: Index,
    depth: Index,
    mask: Mask,
  ) => Value;
}

export function pairProduct(
  plan: KernelPlan,
  core: NodeOf<'dot'>,
  options: LowerOptions,
): LoweredKernel {
  const { batch, rows, contracted, columns } = dotParts(core);
  const sizes = { batch: sizeOfAxes(batch), k: sizeOfAxes(contracted) };
  const operand = (node: Node, lines: Shape, depthFirst: boolean): Operand => ({
    lines: sizeOfAxes(lines),
    read: (lowering, group, line, depth, mask) => {
      const parts = [splitIndex(line, lines), splitIndex(depth, contracted)];
      if (depthFirst) parts.reverse();
      const view = throughViews(node, [...splitIndex(group, batch), ...parts.flat()], options);
      return lowering.evaluateToStore(view.node, view.index, mask);
    },
  });
  const [left, right] = [operand(core.src[0], rows, false), operand(core.src[1], columns, true)];
  /** Elements that are read one by one where vectors lie along the depth, or across the lines. */
  const gathered = ({ lines, read }: Operand, along: boolean): number => {
    const probe = buildWith(plan, options, ({ b, lowering }) => {
      const target = b.buffer('probe', 'f32', b.lanes, 'local');
      const [acrossLane, alongLane] = along ? [ZERO, b.laneIndex] : [b.laneIndex, ZERO];
      // Such a kernel would read beyond the end; it is looked at and never run.
      b.loop(sizes.batch, 'serial', [], (group) => {
        b.loop(lines, 'serial', [], (line) => {
          b.loop(sizes.k, 'serial', [], (depth) => {
            const value = read(lowering, group, add(line, acrossLane), add(depth, alongLane), []);
            b.store(target, b.laneIndex, b.splat(value));
          });
        });
      });
    });
    return kernelCost(probe.kernel).gathered;
  };
  // Where both are even, what needs no turning.
  const leftAlong = gathered(left, true) <= gathered(left, false);
  const rightAlong = gathered(right, true) < gathered(right, false);
  return buildWith(plan, options, (parts) => {
    const { b, lowering } = parts;
    const linesOf =
      ({ read }: Operand, along: boolean) =>
      (group: Index): Lines => ({
        element: (line, depth, mask) => read(lowering, group, line, depth, mask),
        along,
      });
    const gemm = {
      ...sizes,
      m: left.lines,
      n: right.lines,
      a: linesOf(left, leftAlong),
      b: linesOf(right, rightAlong),
      finish: (group: Index, row: Index, column: Index, value: Value, mask: Mask) => {
        const places = [
          splitIndex(group, batch),
          splitIndex(row, rows),
          splitIndex(column, columns),
        ];
        lowering.give(core as Node, places.flat(), value);
        finishRoots(plan, places.flat(), mask, parts);
      },
    };
    buildPairGemm(b, gemm, options.threads);
  });
}

/**
 * Where a node is read through movements that leave nothing out: what it is a view of. A conversion
 * behind them rounds while packing.
 */
function throughViews(
  node: Node,
  index: readonly Index[],
  { hasBuffer }: LowerOptions,
): { node: Node; index: readonly Index[] } {
  let [current, at] = [node, index];
  while (!hasBuffer(current) && opClass(current) === 'move' && !hasMask(current)) {
    at = pushIndex(current, at).index;
    current = current.src[0];
  }
  return { node: current, index: at };
}
