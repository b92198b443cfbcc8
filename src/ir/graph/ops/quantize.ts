import { isFloat } from '../../dtype.ts';
import { codeRange, packedDType, type QuantScheme, quantizedShapes } from '../../quantization.ts';
import { formatShape, type Shape, shapesEqual } from '../../shape.ts';
import { roundEven } from '../special.ts';
import type { Node, OpRule } from '../types.ts';

/** Scales, and zero points where the scheme has them, of one entry for each block. */
export function requireBlocks(
  where: string,
  scales: Node,
  zeros: Node | undefined,
  blocks: Shape,
  { zeroPoint }: QuantScheme,
): void {
  const check = (name: string, node: Node, types: readonly string[]) => {
    if (types.includes(node.dtype) && shapesEqual(node.shape, blocks)) return;
    throw new TypeError(
      `${where}: ${name} are ${node.dtype}${formatShape(node.shape)}; ` +
        `expected ${types.join(' or ')} ${formatShape(blocks)}, one for each block`,
    );
  };
  check('scales', scales, ['f32', 'f16', 'bf16']);
  if (zeroPoint !== (zeros !== undefined)) {
    const expected = zeroPoint ? 'zero points, as the scheme says' : 'none in this scheme';
    throw new TypeError(
      `${where}: zero points are ${zeros ? 'given' : 'missing'}; expected ${expected}`,
    );
  }
  if (zeros) check('zero points', zeros, ['u8']);
}

/**
 * code = round(x / scale) + zero, ties to even, stopped at the ends; the quotient is an f32, and NaN
 * becomes the code of 0.
 */
export const quantize: OpRule<'quantize'> = {
  infer([x, scales, zeros], scheme) {
    if (!isFloat(x.dtype) || x.dtype === 'f64') {
      throw new TypeError(`quantize: values are ${x.dtype}; expected f32 or a smaller float`);
    }
    const { packed, blocks } = quantizedShapes('quantize', x.shape, scheme);
    requireBlocks('quantize', scales, zeros, blocks, scheme);
    return { dtype: packedDType(scheme), shape: packed };
  },
  gradient: null,
  batch: (b, node, [x, scales, zeros]) => b.quantize(x, scales, zeros, node.arg),
  interpret(node, [x, scales, zeros]) {
    const { bits, block } = node.arg;
    const { low, high, zero } = codeRange(node.arg);
    const codes = x.data.map((v, i) => {
      // The last axis holds whole blocks, so blocks are numbered as elements are.
      const at = Math.floor(i / block);
      const quotient = roundEven(Math.fround(v / scales.data[at]));
      const code = (Number.isNaN(quotient) ? 0 : quotient) + (zeros ? zeros.data[at] : zero);
      return Math.min(high, Math.max(low, code));
    });
    if (bits === 8) return codes;
    return Float64Array.from(
      { length: codes.length / 2 },
      (_, j) => codes[2 * j] + 16 * codes[2 * j + 1],
    );
  },
};
