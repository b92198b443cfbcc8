import { indexingText } from '../../ir/graph/ops/indexing.ts';
import type { Node, NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { constant, div, type Index, mod, mul, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Mask, Value } from '../../ir/kernel/types.ts';
import { isProvenBelow } from '../../ir/kernel/value-range.ts';
import { type Dim, isStatic, maxDim, type Shape, sizeOf } from '../../ir/shape.ts';
import { provenIndex } from '../lower/affine.ts';
import { type ExpressionLowering, splitIndex } from '../lower/expression.ts';
import { dimIndex } from '../lower/movement.ts';
import { LINE_WORDS } from './cache-line.ts';

/** What an attention call says beside its sources: plain data. */
export interface AttentionAttributes {
  readonly scale: number;
  readonly isCausal: boolean;
  /** Keys that a query sees up to its own position; null: no limit. */
  readonly slidingWindow: number | null;
  readonly softcap: number | null;
  /** Keys behind a block table; null: the third last axis but one of k says it. */
  readonly keys: Dim | null;
}

/**
 * Sources of the attention calls by the names of their parameters: q, k, v; `mask` (bool, or floats
 * to add), `offset` (i32 [] or [batch]: the position of the first query) and `table` (i32
 * [batch, blocks]: k and v are then pools [blocks, block size, kv heads, d]) where the call has them;
 * `result`, `saved` (the log-sum-exp of each row) and `upstream` in gradients.
 */
export class AttentionOperands {
  readonly attributes: AttentionAttributes;
  /** Axes in front of the heads. */
  readonly lead: Shape;
  readonly heads: number;
  readonly kvHeads: number;
  /** Query heads of one key head. */
  readonly group: number;
  readonly queries: Dim;
  readonly keys: Dim;
  /** Elements of a query and of a key. */
  readonly depth: number;
  /** Elements of a value. */
  readonly width: number;
  readonly #sources: ReadonlyMap<string, Node>;

  constructor(call: NodeOf<'call'>) {
    const { parameters } = call.arg;
    this.#sources = new Map(parameters.map((p, i) => [p.arg.name, call.src[i]]));
    this.attributes = call.arg.attributes as unknown as AttentionAttributes;
    const [q, k, v] = ['q', 'k', 'v'].map((name) => this.require(name).shape);
    this.lead = q.slice(0, -3);
    this.heads = maxDim(q[q.length - 3]);
    this.queries = q[q.length - 2];
    this.depth = maxDim(q[q.length - 1]);
    this.width = maxDim(v[v.length - 1]);
    const paged = this.source('table') !== undefined;
    this.kvHeads = maxDim(k[k.length - (paged ? 2 : 3)]);
    this.keys = this.attributes.keys ?? k[k.length - 2];
    this.group = this.heads / this.kvHeads;
  }

  source(name: string): Node | undefined {
    return this.#sources.get(name);
  }

  require(name: string): Node {
    const node = this.source(name);
    if (!node) throw new TypeError(`attention: the call has no source ${name}`);
    return node;
  }

  /** Why no kernel can compute this call, or undefined. */
  fault(): string | undefined {
    for (const name of ['q', 'k', 'v']) {
      const { dtype, shape } = this.require(name);
      if (dtype !== 'f32') return `${name} is ${dtype}`;
      const rank = this.source('table') && name !== 'q' ? 4 : this.lead.length + 3;
      if (shape.length !== rank) return `${name} has ${shape.length} axes`;
      const others = shape.filter((_, axis) => axis !== rank - 2);
      if (!isStatic(name === 'q' || !this.source('table') ? others : shape)) {
        return `${name} is symbolic in other axes than its rows`;
      }
    }
    if (this.source('table') && this.lead.length !== 1) return 'a block table in a larger batch';
    const mask = this.source('mask');
    if (mask && mask.shape.length !== this.lead.length + 3) return 'a mask of other axes';
    const offset = this.source('offset');
    if (offset && offset.shape.length > this.lead.length) return 'an offset of more axes';
    const sizes = [sizeOf(this.lead), this.heads, maxDim(this.queries), maxDim(this.keys)];
    if (sizes.some((n) => n === 0) || this.depth === 0 || this.width === 0) return 'it is empty';
    if (this.depth > 256 || this.width > 256) return 'heads of more than 256 elements';
    return undefined;
  }
}

/** Elements of the operands of one call as kernel values. */
export class AttentionReader {
  readonly operands: AttentionOperands;
  readonly #b: KernelBuilder;
  readonly #lowering: ExpressionLowering;

  constructor(b: KernelBuilder, lowering: ExpressionLowering, operands: AttentionOperands) {
    this.#b = b;
    this.#lowering = lowering;
    this.operands = operands;
  }

  /** Lanes of the kernel's vectors. */
  get lanes(): number {
    return this.#b.lanes;
  }

  /** The index of an operand or result: axes in front of the heads, then the others. */
  at(batch: Index, ...rest: readonly Index[]): Index[] {
    return [...splitIndex(batch, this.operands.lead), ...rest];
  }

  /** Rows of an operand [lead, heads, rows, columns]. */
  rows(name: string, batch: Index, head: Index): (row: Index, column: Index, mask: Mask) => Value {
    const node = this.operands.require(name);
    return (row, column, mask) =>
      this.#lowering.evaluate(node, this.at(batch, head, row, column), mask);
  }

  /** Asks for a row of k or v that will be needed soon. */
  prefetchKeyRow(name: 'k' | 'v', batch: Index, head: Index, row: Index): void {
    if (this.operands.source('table')) return;
    const node = this.operands.require(name);
    const columns = maxDim(node.shape[node.shape.length - 1]);
    for (let column = 0; column < columns; column += LINE_WORDS) {
      const place = this.#lowering.placeOf(node, this.at(batch, head, row, constant(column)));
      if (place) this.#b.prefetch(place.buffer, place.index);
    }
  }

  /** Rows of k or v: where they lie, or through the block table. */
  keyRows(name: 'k' | 'v', batch: Index, head: Index) {
    const table = this.operands.source('table');
    if (!table) return this.rows(name, batch, head);
    const pool = this.operands.require(name);
    const [blocks, blockSize] = pool.shape.map(maxDim);
    const b = this.#b;
    const what = indexingText('gather', pool.shape, 0);
    return (row: Index, column: Index, mask: Mask): Value => {
      const outer = mask.filter((m) => !m.terms.some((t) => t.atom.kind === 'lane'));
      const entry = this.#lowering.evaluate(table, [batch, div(row, blockSize)], outer);
      const zero = b.const('i32', 0);
      const place = outer.reduce(
        (v, m) => b.select(b.compare('le', zero, b.index(m)), v, zero),
        entry,
      );
      const block = b.checked(place, blocks, what);
      return this.#lowering.evaluate(pool, [block, mod(row, blockSize), head, column], mask);
    };
  }

  /**
   * Runs `body` for each part of the work of each key head of each batch member: one loop, whose
   * turns threads share.
   */
  eachPart(
    parts: Index,
    body: (batch: Index, kv: Index, part: Index, offset: Index) => void,
  ): void {
    const { lead, kvHeads } = this.operands;
    const heads = sizeOf(lead) * kvHeads;
    this.#b.loop(mul(parts, heads), 'thread', [], (piece) => {
      const head = mod(piece, heads);
      const batch = div(head, kvHeads);
      body(batch, mod(head, kvHeads), div(piece, heads), this.#offset(batch));
    });
  }

  /** The position of the first query. Data outside 0 .. keys is an index out of range. */
  #offset(batch: Index): Index {
    const node = this.operands.source('offset');
    if (!node) return ZERO;
    const size = maxDim(this.operands.keys) + 1;
    const at = this.at(batch).slice(0, node.shape.length);
    const proven = provenIndex(node, at, size);
    if (proven) return proven;
    const b = this.#b;
    const value = this.#lowering.evaluate(node, at);
    if (isProvenBelow(value, size)) return b.checked(value, size, 'attention');
    // By way of memory, so that it is checked in the loop that threads share and not in front of it.
    const held = b.buffer('offset', 'i32', 1, 'local');
    b.store(held, ZERO, value);
    return b.checked(b.load(held, ZERO), size, indexingText('gather', [size], 0));
  }

  /** The mask at a query and keys, if there is one; axes of size 1 serve all. */
  mask(batch: Index, head: Index, row: Index, key: Index, under: Mask): Value | undefined {
    const node = this.operands.source('mask');
    if (!node) return undefined;
    const at = this.at(batch, head, row, key);
    const own = at.map((index, axis) => (node.shape[axis] === 1 ? ZERO : index));
    return this.#lowering.evaluate(node, own, under);
  }

  get queries(): Index {
    return dimIndex(this.operands.queries);
  }
  get keys(): Index {
    return dimIndex(this.operands.keys);
  }
}
