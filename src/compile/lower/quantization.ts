import type { Node, NodeOf } from '../../ir/graph/types.ts';
import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import {
  add,
  atLane,
  constant,
  div,
  hasLane,
  type Index,
  laneStep,
  mod,
  mul,
  sub,
  ZERO,
} from '../../ir/kernel/index-expr.ts';
import type { Mask, Value } from '../../ir/kernel/types.ts';
import { codeRange } from '../../ir/quantization.ts';

/** A node that packs codes, or reads them. */
export type Quantizing = NodeOf<'quantize'> | NodeOf<'dequantize'>;

/** What an element of the node reads: each source at its own index. */
export interface Read {
  readonly source: Node;
  readonly index: readonly Index[];
}

function withLast(index: readonly Index[], last: Index): Index[] {
  return [...index.slice(0, -1), last];
}

/** The places of the values that an element of packed codes holds. */
function valuePlaces(node: NodeOf<'quantize'>, index: readonly Index[]): Index[] {
  const last = index[index.length - 1];
  if (node.arg.bits === 8) return [last];
  return [mul(last, 2), add(mul(last, 2), 1)];
}

/** All that an element reads, for the scheduler. */
export function quantizedReads(node: Quantizing, index: readonly Index[]): Read[] {
  const { bits, block } = node.arg;
  const [first, ...perBlock] = node.src;
  const last = index[index.length - 1];
  const places = node.op === 'quantize' ? valuePlaces(node, index) : [last];
  return places.flatMap((place) => [
    {
      source: first,
      index: withLast(index, node.op === 'quantize' || bits === 8 ? place : div(place, 2)),
    },
    ...perBlock.map((source) => ({ source, index: withLast(index, div(place, block)) })),
  ]);
}

type Evaluate = (node: Node, index: readonly Index[], mask: Mask) => Value;

/** Lowers the two ops; `evaluate` gives their sources. */
export class QuantizationLowering {
  readonly #b: KernelBuilder;
  readonly #evaluate: Evaluate;

  constructor(b: KernelBuilder, evaluate: Evaluate) {
    this.#b = b;
    this.#evaluate = evaluate;
  }

  quantize(node: NodeOf<'quantize'>, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const [low, high] = valuePlaces(node, index).map((place) =>
      this.#code(node, withLast(index, place), mask),
    );
    if (node.arg.bits === 8) return node.dtype === 'u8' ? b.bitcast(low, 'u32') : low;
    const byte = b.binary('or', low, b.binary('shl', high, b.const('i32', 4)));
    return b.bitcast(byte, 'u32');
  }

  #code(node: NodeOf<'quantize'>, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const [x, scales, zeros] = node.src;
    const { low, high, zero } = codeRange(node.arg);
    const block = withLast(index, div(index[index.length - 1], node.arg.block));
    const scale = this.#evaluate(scales, block, mask);
    const quotient = b.unary('nearest', b.binary('div', this.#evaluate(x, index, mask), scale));
    const number = b.select(b.compare('eq', quotient, quotient), quotient, b.const('f32', 0));
    const origin = zeros
      ? b.convert(this.#evaluate(zeros, block, mask), 'f32')
      : b.const('f32', zero);
    const limited = b.binary('max', b.binary('add', number, origin), b.const('f32', low));
    return b.convert(b.binary('min', limited, b.const('f32', high)), 'i32');
  }

  dequantize(node: NodeOf<'dequantize'>, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const [packed, scales, zeros] = node.src;
    const { bits, block } = node.arg;
    const last = index[index.length - 1];
    const perBlock = withLast(index, div(last, block));
    const code =
      bits === 8
        ? b.convert(this.#evaluate(packed, index, mask), 'f32')
        : this.#nibble(packed, index, mask);
    const { zero } = codeRange(node.arg);
    const origin = zeros
      ? b.convert(this.#evaluate(zeros, perBlock, mask), 'f32')
      : b.const('f32', zero);
    const steps = !zeros && zero === 0 ? code : b.binary('sub', code, origin);
    return b.binary('mul', steps, this.#evaluate(scales, perBlock, mask));
  }

  /** Codes of four bits, as f32. */
  #nibble(packed: Node, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const last = index[index.length - 1];
    const steps = index.map(laneStep);
    const along = steps[steps.length - 1];
    const inOneRow = steps.slice(0, -1).every((s) => s?.step === 0) && !mask.some(hasLane);
    if (inOneRow && along?.step === 1 && mod(along.base, 2) === ZERO) {
      const at = withLast(index, along.base);
      if (this.#b.lanes === 4) return this.#fourNibbles(packed, at, mask);
      return this.#neighbours(packed, at, mask);
    }
    const bytes = this.#evaluate(packed, withLast(index, div(last, 2)), mask);
    const half = mod(last, 2);
    const fifteen = b.const('u32', 15);
    if (!hasLane(half)) {
      // One shift serves all lanes.
      const shift = b.bitcast(b.index(mul(half, 4)), 'u32');
      return b.convert(b.binary('and', b.binary('shr', bytes, shift), fifteen), 'f32');
    }
    const isLow = b.compare('eq', b.index(half), b.const('i32', 0));
    const high = b.binary('shr', bytes, b.const('u32', 4));
    return b.convert(b.select(isLow, b.binary('and', bytes, fifteen), high), 'f32');
  }

  /** Half as many bytes as lanes hold the codes of neighbours: each byte goes to two lanes. */
  #neighbours(packed: Node, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const half = b.lanes / 2;
    const first = div(index[index.length - 1], 2);
    const at = withLast(index, add(first, b.laneIndex));
    const read = this.#evaluate(packed, at, [...mask, sub(constant(half - 1), b.laneIndex)]);
    const bytes = b.splat(read);
    const twice = b.shuffle(
      bytes,
      bytes,
      b.eachLane((lane) => lane >> 1),
    );
    const isLow = b.pack(b.eachLane((lane) => b.const('bool', lane % 2 === 0 ? 1 : 0)));
    const low = b.binary('and', twice, b.const('u32', 15));
    return b.convert(b.select(isLow, low, b.binary('shr', twice, b.const('u32', 4))), 'f32');
  }

  /**
   * Two bytes hold the codes of all four lanes: each lane masks its own four bits where they lie, and a
   * multiplication by a power of two moves them to the right place, exactly.
   */
  #fourNibbles(packed: Node, index: readonly Index[], mask: Mask): Value {
    const b = this.#b;
    const first = div(index[index.length - 1], 2);
    const byte = (i: number) => {
      const at = withLast(index, add(first, i)).map((part) => atLane(part, 0));
      return this.#evaluate(packed, at, mask);
    };
    const both = b.binary('or', byte(0), b.binary('shl', byte(1), b.const('u32', 8)));
    const perLane = (value: (lane: number) => Value) => b.pack(b.eachLane(value));
    const bits = perLane((lane) => b.const('i32', 15 * 16 ** lane));
    const scales = perLane((lane) => b.const('f32', 16 ** -lane));
    const masked = b.binary('and', b.bitcast(b.splat(both), 'i32'), bits);
    return b.binary('mul', b.convert(masked, 'f32'), scales);
  }
}
