import { topological } from '../../ir/graph/traverse.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Index } from '../../ir/kernel/index-expr.ts';
import type { Buffer, Kernel, KernelTarget, Mask } from '../../ir/kernel/types.ts';
import { maxDim, sizeOf } from '../../ir/shape.ts';
import type { GemmTiles } from '../kernels/gemm-tiles.ts';
import { fusedCosts } from '../schedule/cost.ts';
import { ExpressionLowering } from './expression.ts';
import { linearIndex } from './movement.ts';
import type { RowCache } from './row-cache.ts';

/** The part of a group that lowering needs (the scheduler makes it). */
export interface KernelPlan {
  readonly roots: readonly Node[];
  readonly stored: readonly Node[];
  readonly core: NodeOf<'dot'> | NodeOf<'call'> | undefined;
}

export interface LoweredKernel {
  readonly kernel: Kernel;
  /** The node behind each of the kernel's buffers. */
  readonly nodes: readonly Node[];
}

export interface LowerOptions {
  /** True for nodes whose value another kernel or the caller keeps in memory. */
  readonly hasBuffer: (node: Node) => boolean;
  readonly tiles: GemmTiles;
  readonly kernelTarget: KernelTarget;
  /** Scatters whose result lies in the memory of what they change. */
  readonly inPlace: ReadonlySet<number>;
  /** Nodes whose memory may be that of an input, which lies wherever its owner has put it. */
  readonly donated: ReadonlySet<number>;
  /** Threads that will run the kernels together. */
  readonly threads: number;
}

export interface Parts {
  readonly b: KernelBuilder;
  readonly lowering: ExpressionLowering;
  /** One for each stored root. */
  readonly outs: readonly Buffer[];
}

/** Builds a kernel: `fill` writes its body. */
export function buildWith(
  plan: KernelPlan,
  options: LowerOptions,
  fill: (parts: Parts) => void,
  rowCaches?: ReadonlyMap<number, RowCache>,
): LoweredKernel {
  const b = new KernelBuilder(options.kernelTarget);
  const nodes: Node[] = [];
  const outs = plan.stored.map((root, i) => {
    nodes.push(root);
    return b.buffer(`out${i}`, root.dtype, sizeOf(root.shape), 'out');
  });
  const ins = new Map<number, Buffer>();
  const own = new Set(plan.roots.map((r) => r.id));
  const bufferOf = (node: Node): Buffer | undefined => {
    if (own.has(node.id) || !options.hasBuffer(node)) return undefined;
    const known = ins.get(node.id);
    if (known) return known;
    nodes.push(node);
    const buffer = b.buffer(`in${ins.size}`, node.dtype, sizeOf(node.shape), 'in');
    ins.set(node.id, buffer);
    return buffer;
  };
  const inMemory = (node: Node) => !own.has(node.id) && options.hasBuffer(node);
  const costOf = (node: Node) =>
    fusedCosts(topological([node], inMemory), inMemory).get(node.id) ?? 0;
  fill({ b, lowering: new ExpressionLowering(b, { bufferOf, rowCaches, costOf }), outs });
  return { kernel: b.build(kernelName(plan)), nodes };
}

/** What the kernel does, in a few words: shown in traces. */
function kernelName(plan: KernelPlan): string {
  const last = plan.roots[plan.roots.length - 1];
  const parts: string[] = [];
  if (plan.core) parts.push(wordOf(plan.core as Node));
  if (last !== plan.core) parts.push(wordOf(last));
  const shape = last.shape.map((d) => maxDim(d)).join('x') || '1';
  return `${parts.join('_')}_${shape}`;
}

function wordOf(node: Node): string {
  switch (node.op) {
    case 'unary':
    case 'binary':
    case 'compare':
    case 'reduce':
      return node.arg.fn;
    case 'call':
      return node.arg.name;
    default:
      return node.op;
  }
}

/** The epilogue: what the roots make of a vector of the product. Lanes beyond the mask are void. */
export function finishRoots(
  plan: KernelPlan,
  at: readonly Index[],
  mask: Mask,
  parts: Parts,
): void {
  plan.stored.forEach((root, i) => {
    const value = parts.lowering.evaluateToStore(root, at, mask);
    parts.b.store(parts.outs[i], linearIndex(at, root.shape), value, mask);
  });
}
