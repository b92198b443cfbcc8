import { formatShape, type Shape } from '../shape.ts';
import { topological } from './traverse.ts';
import type { CallArg, Node } from './types.ts';

function formatArgument(node: Node): string {
  switch (node.op) {
    case 'const':
      return formatNumber(node.arg.value);
    case 'buffer':
      return node.arg.name;
    case 'var':
      return node.arg.variable.name;
    case 'call':
      return `${node.arg.name} ${JSON.stringify(node.arg.attributes)}`;
    case 'where':
    case 'iota':
      return '';
    case 'reshape':
    case 'expand':
    case 'after':
      return '';
    case 'mark':
      return node.arg.rule.kind;
    default:
      return JSON.stringify(node.arg, (_key, value: unknown) =>
        typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))
          ? formatNumber(value)
          : value,
      );
  }
}

function formatNumber(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** The graph as text, one node a line: `%3 = f32[2, 4] binary {"fn":"add"} %1 %2`. */
export function printGraph(outputs: readonly Node[]): string {
  const order = topological(outputs);
  const names = new Map(order.map((node, i) => [node.id, `%${i}`]));
  const nameOf = (node: Node) => names.get(node.id) ?? '?';
  const lines = order.map((node) => {
    const type = `${node.dtype}${formatShape(node.shape)}`;
    const parts = [nameOf(node), '=', type, node.op, formatArgument(node), ...node.src.map(nameOf)];
    const line = parts.filter((p) => p !== '').join(' ');
    if (node.op !== 'call') return line;
    return `${line} {\n${printGraph([node.arg.body]).replaceAll(/^/gm, '  ')}\n}`;
  });
  return [...lines, `return ${outputs.map(nameOf).join(' ')}`].join('\n');
}

/** What a node computes, down to some depth: `f32[2, 3] log(add(1, x))`. */
export function printExpression(node: Node, depth = 4): string {
  return `${node.dtype}${formatShape(node.shape)} ${expression(node, depth)}`;
}

function expression(node: Node, depth: number): string {
  const { src } = node;
  if (src.length === 0) return formatArgument(node) || node.op;
  const constant = expandedConstant(node);
  if (constant) return formatArgument(constant);
  if (depth === 0) return '...';
  return `${operation(node)}(${src.map((s) => expression(s, depth - 1)).join(', ')})`;
}

/** Constants are told by their value, in whatever shape. */
function expandedConstant(node: Node): Node | undefined {
  if (node.op === 'const') return node;
  const moves = node.op === 'reshape' || node.op === 'expand';
  return moves ? expandedConstant(node.src[0]) : undefined;
}

function operation(node: Node): string {
  switch (node.op) {
    case 'unary':
    case 'binary':
    case 'compare':
      return node.arg.fn;
    case 'reduce':
      return `${node.arg.fn}[${node.arg.axes.join(' ')}]`;
    case 'cast':
    case 'bitcast':
      return `${node.op} to ${node.dtype}`;
    default:
      return node.op;
  }
}

function shapeKey(shape: Shape): string {
  return shape.map((d) => (typeof d === 'number' ? d : `${d.name}<${d.min},${d.max}>`)).join(',');
}

/**
 * All that matters of one node, as text: sources by the given numbers. Of a node that is only read
 * just its type counts.
 */
export function nodeKey(node: Node, numbers: ReadonlyMap<number, number>, isRead: boolean): string {
  const type = `${node.dtype}:${shapeKey(node.shape)}`;
  if (isRead) return `read:${type}`;
  return `${node.op}:${type}:${argumentKey(node)}:${node.src.map((s) => numbers.get(s.id)).join()}`;
}

/** As `formatArgument`, with the bounds of symbolic sizes: programs are made for them. */
function argumentKey(node: Node): string {
  switch (node.op) {
    case 'var':
      return shapeKey([node.arg.variable]);
    case 'shrink':
      return node.arg.ranges.map(([start, length]) => `${start}+${shapeKey([length])}`).join(';');
    case 'call':
      return callKey(node.arg);
    default:
      return formatArgument(node);
  }
}

const callKeys = new WeakMap<CallArg, string>();

/** All that matters of a call but its sources, as text: bodies count by what they compute. */
export function callKey(arg: CallArg): string {
  let key = callKeys.get(arg);
  if (key === undefined) {
    const { name, parameters, body, attributes, saved } = arg;
    const bodies = saved ? [body, saved.body] : [body];
    const graph = graphKey(bodies, parameters);
    const names = parameters.map((p) => p.arg.name).join();
    key = `${name}+${saved?.name}(${names})${JSON.stringify(attributes)}{${graph}}`;
    callKeys.set(arg, key);
  }
  return key;
}

/**
 * All that matters of a graph, as text: equal keys mean interchangeable programs. Buffers are
 * numbered in the given order.
 */
export function graphKey(outputs: readonly Node[], inputs: readonly Node[]): string {
  const order = topological(outputs);
  const numbers = new Map(order.map((node, i) => [node.id, i]));
  const inputNumbers = new Map(inputs.map((node, i) => [node.id, i]));
  const lines = order.map((node) =>
    node.op === 'buffer'
      ? `#${inputNumbers.get(node.id)}:${nodeKey(node, numbers, true)}`
      : nodeKey(node, numbers, false),
  );
  return `${lines.join('\n')}\n>${outputs.map((o) => numbers.get(o.id)).join()}`;
}
