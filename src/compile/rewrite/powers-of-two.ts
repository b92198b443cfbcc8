import { isFloat } from '../../ir/dtype.ts';
import { roundTo } from '../../ir/float-formats.ts';
import { binary } from '../../ir/graph/build.ts';
import { constantLike, constantValue } from './constants.ts';
import type { Pass } from './pass.ts';

/** Division by a power of two is a multiplication, exactly. */
export const powerOfTwoDivision: Pass = {
  name: 'division by powers of two',
  start: () => (node) => {
    if (node.op !== 'binary' || node.arg.fn !== 'div' || !isFloat(node.dtype)) return node;
    const divisor = constantValue(node.src[1]);
    if (divisor === undefined || divisor === 0 || !Number.isFinite(divisor)) return node;
    const inverse = 1 / divisor;
    const isPower = Number.isInteger(Math.log2(Math.abs(divisor)));
    // The inverse of a subnormal number overflows, and that of a large one may be lost.
    if (!isPower || roundTo(node.dtype, inverse) !== inverse) return node;
    return binary('mul', node.src[0], constantLike(node, inverse));
  },
};
