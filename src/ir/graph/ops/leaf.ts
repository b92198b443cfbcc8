import { badArgument, InternalError } from '../../../base/errors.ts';
import { maxDim } from '../../shape.ts';
import type { Build, Node, OpRule } from '../types.ts';

/** Leaves are the same for every member of a batch: they are repeated. */
function repeat(b: Build, node: Node, size: number): Node {
  const row = b.reshape(node, [1, ...node.shape]);
  return b.expand(row, [size, ...node.shape]);
}

export const constant: OpRule<'const'> = {
  infer: () => {
    throw new InternalError('a constant carries its own type');
  },
  gradient: null,
  batch: (b, node, _src, size) => repeat(b, node as Node, size),
  interpret: (node) => Float64Array.of(node.arg.value),
};

export const buffer: OpRule<'buffer'> = {
  infer: () => {
    throw new InternalError('a buffer carries its own type');
  },
  gradient: null,
  batch: (b, node, _src, size) => repeat(b, node as Node, size),
  interpret: (node, _src, _shape, env) => env.buffer(node).data,
};

export const variable: OpRule<'var'> = {
  infer: () => ({ dtype: 'i32', shape: [] }),
  gradient: null,
  batch: (b, node, _src, size) => repeat(b, node as Node, size),
  interpret: (node, _src, _shape, env) => Float64Array.of(env.size(node.arg.variable)),
};

export const iota: OpRule<'iota'> = {
  infer(_src, { length }) {
    const size = maxDim(length);
    if (!Number.isInteger(size) || size < 0) {
      throw badArgument('iota', 'length', length, 'an integer >= 0');
    }
    return { dtype: 'i32', shape: [length] };
  },
  gradient: null,
  batch: (b, node, _src, size) => repeat(b, node as Node, size),
  interpret: (_node, _src, shape) => Float64Array.from({ length: shape[0] }, (_, i) => i),
};
