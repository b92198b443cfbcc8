import { InternalError } from '../../../base/errors.ts';
import { isFloat } from '../../dtype.ts';
import { formatShape, shapesEqual } from '../../shape.ts';
import { topological } from '../traverse.ts';
import type { CallArg, Node, OpRule } from '../types.ts';

const typeOf = ({ dtype, shape }: Node): string => `${dtype}${formatShape(shape)}`;

/** Arguments whose bodies were found to read nothing but their parameters. */
const closed = new WeakSet<CallArg>();

function requireClosed(arg: CallArg): void {
  if (closed.has(arg)) return;
  const { name, parameters, body, saved } = arg;
  for (const node of topological(saved ? [body, saved.body] : [body])) {
    if (node.op !== 'buffer' || parameters.some((p) => p.id === node.id)) continue;
    throw new InternalError(`the body of the call ${name} reads ${node.arg.name}, no parameter`);
  }
  closed.add(arg);
}

export const call: OpRule<'call'> = {
  infer(src, arg) {
    const { name, parameters, body } = arg;
    requireClosed(arg);
    const got = src.map(typeOf).join(', ');
    const expected = parameters.map((p) => typeOf(p as Node)).join(', ');
    const fits =
      src.length === parameters.length &&
      src.every(
        (s, i) => s.dtype === parameters[i].dtype && shapesEqual(s.shape, parameters[i].shape),
      );
    if (!fits) throw new TypeError(`${name}: arguments are ${got}; expected ${expected}`);
    return { dtype: body.dtype, shape: body.shape };
  },
  /**
   * The gradient by each parameter is a call of its own, named after it. Beside the sources it gets
   * the result, what is saved and the upstream: its body needs the last alone, templates use all.
   */
  gradient: (b, node, g) => {
    const { name, parameters, body, attributes, saved } = node.arg;
    const reached = new Set(topological([body]).map((n) => n.id));
    const targets = parameters.filter((p) => isFloat(p.dtype) && reached.has(p.id));
    const upstream = b.parameter(g.dtype, g.shape, 'upstream');
    const bodies = b.gradients([body], [upstream as Node], targets as readonly Node[]);
    const kept =
      saved && b.call(node.src, { name: saved.name, parameters, body: saved.body, attributes });
    const extra = [node as Node, ...(kept ? [kept] : [])];
    const stands = extra.map((x, i) => b.parameter(x.dtype, x.shape, i === 0 ? 'result' : 'saved'));
    return parameters.map((parameter) => {
      const at = targets.indexOf(parameter);
      if (at < 0) return null;
      return b.call([...node.src, ...extra, g], {
        name: `${name}.d${parameter.arg.name}`,
        parameters: [...parameters, ...stands, upstream],
        body: bodies[at],
        attributes,
      });
    });
  },
  batch(b, node, src, size) {
    const { name, parameters, body, attributes, saved } = node.arg;
    const lifted = parameters.map((p) => b.parameter(p.dtype, [size, ...p.shape], p.arg.name));
    const inputs = new Map(parameters.map((p, i) => [p.id, lifted[i] as Node]));
    const over = (inner: Node): Node => b.batched([inner], inputs, size)[0];
    const arg = { name, parameters: lifted, body: over(body), attributes };
    return b.call(
      src,
      saved ? { ...arg, saved: { name: saved.name, body: over(saved.body) } } : arg,
    );
  },
  interpret: (node, src, _shape, env) => env.evaluate(node.arg.body, node.arg.parameters, src),
};
