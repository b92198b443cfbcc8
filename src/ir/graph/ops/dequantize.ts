import { codeRange, packedDType, quantizedShapes } from '../../quantization.ts';
import { formatShape, isVar, type Shape } from '../../shape.ts';
import type { Build, Node, NodeOf, OpRule } from '../types.ts';
import { requireBlocks } from './quantize.ts';

/** The shape of the values behind packed codes. */
function valuesShape(packed: Node, bits: 4 | 8): Shape {
  const last = packed.shape[packed.shape.length - 1];
  if (last === undefined || isVar(last)) {
    throw new TypeError(
      `dequantize: codes are ${formatShape(packed.shape)}; expected a static last axis`,
    );
  }
  return bits === 8 ? packed.shape : [...packed.shape.slice(0, -1), 2 * last];
}

/** value = (code - zero) scale as f32: the product is rounded once. */
export const dequantize: OpRule<'dequantize'> = {
  infer([packed, scales, zeros], scheme) {
    const wanted = packedDType(scheme);
    if (packed.dtype !== wanted) {
      throw new TypeError(`dequantize: codes are ${packed.dtype}; expected ${wanted}`);
    }
    const shape = valuesShape(packed, scheme.bits);
    const { blocks } = quantizedShapes('dequantize', shape, scheme);
    requireBlocks('dequantize', scales, zeros, blocks, scheme);
    return { dtype: 'f32', shape };
  },
  gradient: (b, node, g) => [null, scalesGradient(b, node, g), null],
  batch: (b, node, [packed, scales, zeros]) => b.dequantize(packed, scales, zeros, node.arg),
  interpret(node, [packed, scales, zeros], shape) {
    const { bits, block } = node.arg;
    const { zero } = codeRange(node.arg);
    const out = new Float64Array(shape.reduce((n, d) => n * d, 1));
    for (let i = 0; i < out.length; i++) {
      const code = bits === 8 ? packed.data[i] : (packed.data[i >> 1] >> (4 * (i & 1))) & 15;
      const at = Math.floor(i / block);
      out[i] = (code - (zeros ? zeros.data[at] : zero)) * scales.data[at];
    }
    return out;
  },
};

/** A scale's gradient: that of its block's values times what it multiplies. */
function scalesGradient(b: Build, node: NodeOf<'dequantize'>, g: Node): Node {
  const [packed, scales, zeros] = node.src;
  const steps = b.dequantize(packed, b.constLike(scales, 1), zeros, node.arg);
  const products = b.binary('mul', g, steps);
  const split = b.reshape(products, [...scales.shape, node.arg.block]);
  const sums = b.reduce('sum', split, [scales.shape.length]);
  return b.cast(b.reshape(sums, scales.shape), scales.dtype);
}
