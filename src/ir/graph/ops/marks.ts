import { InternalError } from '../../../base/errors.ts';
import type { Node, OpRule } from '../types.ts';

export const mark: OpRule<'mark'> = {
  infer: ([x]) => ({ dtype: x.dtype, shape: x.shape }),
  gradient: (_b, node, g) => {
    const { rule } = node.arg;
    const [, ...inputs] = node.src;
    switch (rule.kind) {
      case 'stop':
        return [null];
      case 'custom':
        return [null, ...rule.backward(g, inputs, node as Node)];
      case 'checkpoint':
        throw new InternalError('a region is differentiated as a whole');
      default:
        return rule satisfies never;
    }
  },
  // Rules that hold nodes of their own are batched with the graph that they belong to.
  batch: (b, node, [x, ...inputs]) => {
    if (node.arg.rule.kind === 'custom') throw new InternalError('a rule is batched by itself');
    return b.mark(x, inputs, node.arg.rule);
  },
  interpret: (_node, [x]) => x.data,
};

export const after: OpRule<'after'> = {
  infer: ([x]) => ({ dtype: x.dtype, shape: x.shape }),
  gradient: (_b, node, g) => [g, ...node.src.slice(1).map(() => null)],
  batch: (b, _node, [x, ...tokens]) => b.after(x, tokens),
  interpret: (_node, [x]) => x.data,
};
