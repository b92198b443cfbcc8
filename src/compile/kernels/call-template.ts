import type { NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import type { Index } from '../../ir/kernel/index-expr.ts';
import type { KernelTarget, Mask, Value } from '../../ir/kernel/types.ts';
import type { ExpressionLowering } from '../lower/expression.ts';

/** A call and what takes its result. */
export interface CallResult {
  readonly call: NodeOf<'call'>;
  /** Takes an element, or a vector where the index holds the lane, where the mask holds. */
  readonly write: (at: readonly Index[], value: Value, mask: Mask) => void;
}

/** How calls of one name are computed. */
export interface CallTemplate {
  /** Calls of one family over the same sources share a kernel. */
  family(call: NodeOf<'call'>): string;
  /** True where pointwise work on the result may be done before it is stored. */
  readonly takesEpilogue: boolean;
  /** True where each element of the sources is read once: what computes them is then not stored. */
  readonly readsOnce: boolean;
  /** The number of a source whose readers are to follow each other, where there is one. */
  readonly sharedSource?: number;
  /** Why a call cannot be taken, or undefined when it can. */
  refusal(call: NodeOf<'call'>, target: KernelTarget): string | undefined;
  /** Why the body would be faster, or undefined. */
  slower(call: NodeOf<'call'>): string | undefined;
  /** Fills the kernel of one or several calls of the family over the same sources. */
  build(b: KernelBuilder, lowering: ExpressionLowering, results: readonly CallResult[]): void;
}
