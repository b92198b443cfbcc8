import { InternalError } from '../../base/errors.ts';
import { DTYPES } from '../../ir/dtype.ts';
import { isSmallFloat } from '../../ir/float-formats.ts';
import { dotParts } from '../../ir/graph/ops/dot.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { type KernelBuilder, valueDType } from '../../ir/kernel/builder.ts';
import { kernelCost } from '../../ir/kernel/cost.ts';
import {
  add,
  atomIndex,
  constant,
  type Index,
  laneAtom,
  laneStep,
  mentions,
  mul,
  ZERO,
} from '../../ir/kernel/index-expr.ts';
import type { Kernel, Value } from '../../ir/kernel/types.ts';
import { isStatic, maxDim, type Shape, sizeOf } from '../../ir/shape.ts';
import type { CallResult } from '../kernels/call-template.ts';
import { buildGemm } from '../kernels/gemm.ts';
import type { Gemm } from '../kernels/gemm-packing.ts';
import { buildGemv, type Place } from '../kernels/gemv.ts';
import { buildScan } from '../kernels/scan.ts';
import { buildScatter } from '../kernels/scatter.ts';
import { buildSort } from '../kernels/sort.ts';
import { TEMPLATES } from '../kernels/templates.ts';
import { hasFewRows, opClass } from '../op-class.ts';
import { axisLoops, axisRuns, indexOfRuns } from './axis-runs.ts';
import { type ConcatParts, concatParts } from './concat-parts.ts';
import { splitIndex } from './expression.ts';
import {
  buildWith,
  finishRoots,
  type KernelPlan,
  type LoweredKernel,
  type LowerOptions,
  type Parts,
} from './kernel-parts.ts';
import { isFlat, loopOver, vectorAxis } from './map-kernel.ts';
import { linearIndex, throughMovements } from './movement.ts';
import { isPairProduct, pairProduct } from './pair-product.ts';
import { findRowCaches } from './row-cache.ts';
import { identityValue, lowerBinary } from './scalar.ts';

export type { KernelPlan, LoweredKernel, LowerOptions } from './kernel-parts.ts';

/** Builds the kernel of one group. */
export function lowerGroup(plan: KernelPlan, options: LowerOptions): LoweredKernel {
  const last = plan.roots[plan.roots.length - 1];
  const { core } = plan;
  if (core?.op === 'dot') return productKernel(plan, core, options);
  if (core) return buildWith(plan, options, (k) => callKernel(k, plan));
  switch (last.op) {
    case 'scatter':
      return buildWith(plan, options, (k) =>
        buildScatter(k.b, k.lowering, last, k.outs[0], options.inPlace.has(last.id)),
      );
    case 'scan':
      return buildWith(plan, options, (k) => buildScan(k.b, k.lowering, last, k.outs[0]));
    case 'sort':
      return buildWith(plan, options, (k) => buildSort(k.b, k.lowering, last, k.outs[0]));
    case 'call':
      return buildWith(plan, options, (k) => callKernel(k, plan));
    default:
      return mapKernel(plan, options);
  }
}

/** The call or calls of a group, with the pointwise work on the result of one of them. */
function callKernel(parts: Parts, plan: KernelPlan): void {
  const { b, lowering, outs } = parts;
  const calls = plan.roots.filter((root) => root.op === 'call');
  const results = calls.map((call): CallResult => {
    const own = plan.stored.indexOf(call);
    if (own >= 0) {
      const write: CallResult['write'] = (at, value, mask) =>
        b.store(outs[own], linearIndex(at, call.shape), value, mask);
      return { call, write };
    }
    const epilogue = plan.stored.filter((root) => root.op !== 'call');
    const write: CallResult['write'] = (at, value, mask) => {
      lowering.give(call, at, value);
      for (const root of epilogue) {
        const out = outs[plan.stored.indexOf(root)];
        b.store(out, linearIndex(at, root.shape), lowering.evaluate(root, at, mask), mask);
      }
    };
    return { call, write };
  });
  const { name } = results[0].call.arg;
  const template = TEMPLATES.get(name);
  if (!template) throw new InternalError(`no template of the name ${name}`);
  template.build(b, lowering, results);
}

/** Pointwise roots and reductions: the way of vectors is chosen by cost where it matters. */
function mapKernel(plan: KernelPlan, options: LowerOptions): LoweredKernel {
  const [first] = plan.roots;
  const { shape } = first;
  if (isStatic(shape) && isFlat(plan.roots, options.hasBuffer)) {
    const flat = [sizeOf(shape)];
    // The last axis that has places takes them all: indices of axes of size 1 are not looked at.
    const at = shape.findLastIndex((dim) => dim !== 1);
    return mapOver(plan, options, flat, vectorAxis(flat, options.kernelTarget), ([i]) =>
      shape.map((_, axis) => (axis === at ? i : ZERO)),
    );
  }
  const joined = plan.roots.length === 1 ? concatParts(first, options.hasBuffer) : undefined;
  if (joined && !hasReduction(options)(first)) return concatKernel(plan, options, joined);
  const axis = vectorAxis(shape, options.kernelTarget);
  const same = (index: readonly Index[]) => index;
  const vector = mapOver(plan, options, shape, axis, same);
  if (axis < 0 || !plan.roots.some(hasReduction(options))) return vector;
  // Vectors run along the result or along what is reduced, whichever reads memory evenly.
  const single = mapOver(plan, options, shape, -1, same);
  return weight(single.kernel) < weight(vector.kernel) ? single : vector;
}

/** Loops of its own for each part: nothing is asked at the places of the others. */
function concatKernel(plan: KernelPlan, options: LowerOptions, joined: ConcatParts): LoweredKernel {
  const [root] = plan.stored;
  return buildWith(plan, options, ({ b, lowering, outs }) => {
    for (const { start, node } of joined.parts) {
      loopOver(
        b,
        node.shape,
        vectorAxis(node.shape, options.kernelTarget),
        'thread',
        (place, mask) => {
          const at = place.map((i, axis) => (axis === joined.axis ? add(i, constant(start)) : i));
          const value = lowering.evaluateToStore(node, place, mask);
          const stored = joined.summed ? lowerBinary(b, 'add', value, zero(b, value)) : value;
          b.store(outs[0], linearIndex(at, root.shape), stored, mask);
        },
      );
    }
  });
}

function zero(b: KernelBuilder, like: Value): Value {
  return identityValue(b, like.dtype, 0);
}

function weight(kernel: Kernel): number {
  return kernelCost(kernel).instructions;
}

/** True when the kernel of a root runs a reduction. */
function hasReduction(options: LowerOptions) {
  const seen = new Set<number>();
  const visit = (node: Node, root: boolean): boolean => {
    if (seen.has(node.id)) return false;
    seen.add(node.id);
    if (!root && options.hasBuffer(node)) return false;
    return opClass(node) === 'reduce' || node.src.some((s) => visit(s, false));
  };
  return (node: Node) => visit(node, true);
}

function mapOver(
  plan: KernelPlan,
  options: LowerOptions,
  shape: Shape,
  vector: number,
  toIndex: (index: readonly Index[]) => readonly Index[],
): LoweredKernel {
  const fill = ({ b, lowering, outs }: Parts) => {
    loopOver(b, shape, vector, 'thread', (place, mask) => {
      const index = toIndex(place);
      const values = plan.stored.map((root) => lowering.evaluateToStore(root, index, mask));
      values.forEach((value, i) => {
        const root = plan.stored[i];
        b.store(outs[i], linearIndex(index, root.shape), value, mask, streams(root, options));
      });
    });
  };
  return buildWith(plan, options, fill, findRowCaches(plan.stored, options.hasBuffer));
}

/** Results of so many bytes have left the caches before anybody reads them. */
const STREAMED_BYTES = 2 ** 24;

function streams(root: Node, { donated }: LowerOptions): boolean {
  return sizeOf(root.shape) * DTYPES[root.dtype].bytes >= STREAMED_BYTES && !donated.has(root.id);
}

/** Chooses the template of a product by its types and shape alone; gemm and gemv give the same bits. */
function productKernel(
  plan: KernelPlan,
  core: NodeOf<'dot'>,
  options: LowerOptions,
): LoweredKernel {
  const shape = dotParts(core);
  const inner = [...shape.batch, ...shape.contracted, ...shape.columns];
  if (isPairProduct(core, options)) return pairProduct(plan, core, options);
  // Packed blocks have fixed sizes; rows may be symbolic where they are one run of memory.
  if (!hasFewRows(core) && isStatic(inner) && axisRuns(shape.rows).length <= 1) {
    return buildWith(plan, options, (parts) => gemmKernel(parts, plan, core, options));
  }
  const [evenly, turned] = [false, true].map((turn) =>
    buildWith(plan, options, (parts) => gemvKernel(parts, plan, core, turn)),
  );
  const gathered = (lowered: LoweredKernel) => kernelCost(lowered.kernel).gathered;
  return gathered(turned) < gathered(evenly) ? turned : evenly;
}

function productType(core: NodeOf<'dot'>): Gemm['dtype'] {
  const dtype = valueDType(core.dtype);
  if (dtype === 'bool') throw new InternalError('no matrix product of bool');
  return dtype;
}

function gemvKernel(parts: Parts, plan: KernelPlan, core: NodeOf<'dot'>, turned: boolean): void {
  const { b, lowering } = parts;
  const [left, right] = core.src;
  const shape = dotParts(core);
  const [batch, rows, depth, columns] = [
    axisRuns(shape.batch),
    axisRuns(shape.rows),
    // The steps of a window lie apart: walked axis by axis they need no division.
    axisLoops(shape.contracted),
    axisRuns(shape.columns),
  ].map((runs) => {
    const at = (place: Place) => indexOfRuns(runs, place);
    return { sizes: runs.map((run) => run.size), at };
  });
  buildGemv(b, {
    batch: batch.sizes,
    rows: rows.sizes,
    depth: depth.sizes,
    columns: columns.sizes,
    dtype: productType(core),
    turned,
    a: (group, row, k) =>
      lowering.evaluate(left, [...batch.at(group), ...rows.at(row), ...depth.at(k)]),
    b: (group, k, column, mask) =>
      lowering.evaluate(right, [...batch.at(group), ...depth.at(k), ...columns.at(column)], mask),
    finish: (group, row, column, value, mask) => {
      const at = [...batch.at(group), ...rows.at(row), ...columns.at(column)];
      lowering.give(core as Node, at, value);
      finishRoots(plan, at, mask, parts);
    },
  });
}

function gemmKernel(
  parts: Parts,
  plan: KernelPlan,
  core: NodeOf<'dot'>,
  options: LowerOptions,
): void {
  const { b, lowering } = parts;
  const [left, right] = core.src;
  const shape = dotParts(core);
  const m = axisRuns(shape.rows)[0]?.size ?? constant(1);
  const k = sizeOf(shape.contracted);
  const n = sizeOf(shape.columns);
  const index = (batch: Index, middle: Index, last: Index, sizes: readonly Shape[]) => [
    ...splitIndex(batch, sizes[0]),
    ...splitIndex(middle, sizes[1]),
    ...splitIndex(last, sizes[2]),
  ];
  const aShape = [shape.batch, shape.rows, shape.contracted];
  const bShape = [shape.batch, shape.contracted, shape.columns];
  const cShape = [shape.batch, shape.rows, shape.columns];
  const probe = probeIndices(sizeOf(shape.batch), m, k, n);
  buildGemm(
    b,
    {
      batch: sizeOf(shape.batch),
      m,
      n,
      k,
      depthAxes: shape.contracted.map(maxDim),
      dtype: productType(core),
      a: (group, row, depth, mask) =>
        lowering.evaluate(left, index(group, row, depth, aShape), mask),
      b: (group, depth, column, mask) =>
        lowering.evaluate(right, index(group, depth, column, bShape), mask),
      aIsPlain: readsEvenly(
        left,
        index(probe[0], probe[1], probe[2], aShape),
        probe[2],
        options.hasBuffer,
      ),
      aIsAlong: isAlong(
        left,
        (depth) => index(probe[0], probe[1], depth, aShape),
        k,
        b.lanes,
        options.hasBuffer,
      ),
      aPlace: (group, row, depth) => lowering.placeOf(left, index(group, row, depth, aShape)),
      bIsTurned: readsEvenly(
        right,
        index(probe[0], probe[2], probe[3], bShape),
        probe[2],
        options.hasBuffer,
      ),
      finish: (group, row, column, value, mask) => {
        const at = index(group, row, column, cShape);
        lowering.give(core as Node, at, value);
        finishRoots(plan, at, mask, parts);
      },
    },
    options.tiles,
    options.threads,
  );
}

/** Stand-ins for the loops of a product, to look at an operand's addresses before building it. */
function probeIndices(batch: number, m: Index, k: number, n: number): Index[] {
  const loop = (id: number, extent: Index) =>
    atomIndex({ kind: 'loop', id, extent, key: `probe${id}` });
  return [constant(batch), m, constant(k), constant(n)].map((extent, id) => loop(id, extent));
}

/** True when vectors along k, from multiples of their lanes on, lie one after the other in memory. */
function isAlong(
  node: Node,
  at: (depth: Index) => readonly Index[],
  k: number,
  lanes: number,
  hasBuffer: LowerOptions['hasBuffer'],
): boolean {
  const atom = {
    kind: 'loop',
    id: 9,
    extent: constant(Math.ceil(k / lanes)),
    key: 'vectors',
  } as const;
  const read = throughMovements(
    node,
    at(add(mul(atomIndex(atom), lanes), laneAtom(lanes))),
    hasBuffer,
  );
  return read !== undefined && laneStep(linearIndex(read.index, read.node.shape))?.step === 1;
}

/** True when an operand is a buffer whose elements lie one after the other along k. */
function readsEvenly(
  node: Node,
  index: readonly Index[],
  depth: Index,
  hasBuffer: LowerOptions['hasBuffer'],
): boolean {
  const read = throughMovements(node, index, hasBuffer);
  // Small floats are widened each time: better once, while packing.
  if (!read || isSmallFloat(read.node.dtype)) return false;
  const { terms } = linearIndex(read.index, read.node.shape);
  const [k] = depth.terms;
  return terms.every(({ atom, coefficient }) => {
    if (atom.key === k.atom.key) return coefficient === 1;
    return !((atom.kind === 'div' || atom.kind === 'mod') && mentions(atom.of, k.atom.key));
  });
}
