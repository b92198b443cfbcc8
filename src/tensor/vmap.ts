import { batchDependents, repeat } from '../ir/graph/batching.ts';
import * as g from '../ir/graph/build.ts';
import type { Node } from '../ir/graph/types.ts';
import { formatShape, isVar } from '../ir/shape.ts';
import { type AxesTree, mapWithAxes } from './axes-tree.ts';
import { BatchTrace } from './batch-trace.ts';
import { withoutCellWrites } from './cell.ts';
import { Lazy } from './lazy.ts';
import { collecting, type Disposable } from './scope.ts';
import { Tensor } from './tensor.ts';
import { mapTensors } from './tree.ts';

export interface VmapOptions {
  /**
   * Which axis of the arguments is the batch: one for all, or an entry for each argument, which may
   * follow its structure. Null: all members get the same (default 0).
   */
  readonly inAxes?: AxesTree;
  /** Where the batch axis stands in the results; null for results that do not depend on it (default 0). */
  readonly outAxes?: AxesTree;
}

/**
 * A function of one example as a function of a batch of them. It is traced once, for one example, and
 * becomes one graph over the batch. What is no tensor, and cells and parameters that are read inside,
 * are the same for all members; random numbers are each member's own. Nests with itself, with grad and
 * the other derivatives, and stands inside jit; a jitted function inside it is refused.
 *
 * @throws TypeError where a batch axis is missing or sizes differ, where the function is async, reads
 *   values or sets cells, and where outAxes is null for a result that differs between members
 *
 * @example const perExample = vmap(grad(loss), { inAxes: [null, 0, 0] })(weights, inputs, targets)
 */
export function vmap<A extends unknown[], T>(
  f: (...args: A) => T,
  options: VmapOptions = {},
): (...args: A) => T {
  const { inAxes = 0, outAxes = 0 } = options;
  return (...args) => {
    const batched = findBatch(args, inAxes);
    const batch = new BatchTrace(batched.size);
    const made = new Set<Disposable>();
    try {
      const result = collecting(() => traceMember(f, args, inAxes, batch), made);
      return batchResult(result, outAxes, batch) as T;
    } finally {
      for (const handle of made) handle.dispose();
      batch.dispose();
    }
  };
}

/** The size of the batch, on which all batched arguments must agree. */
function findBatch(args: unknown[], inAxes: AxesTree): { size: number; path: string } {
  let found: { size: number; path: string } | undefined;
  const visit = (tensor: Tensor, axis: number | null, path: string): Tensor => {
    if (axis === null) return tensor;
    const size = tensor.shape[batchAxis('inAxes', axis, tensor.rank, tensor, path)];
    if (isVar(size)) {
      throw new TypeError(
        `vmap: argument ${path} has the symbolic size ${size.name} on its batch axis; expected a fixed size`,
      );
    }
    if (found && found.size !== size) {
      throw new TypeError(
        `vmap: argument ${path} is ${formatShape(tensor.shape)} with ${size} members on axis ${axis}; ` +
          `expected ${found.size}, as argument ${found.path} has`,
      );
    }
    found ??= { size, path };
    return tensor;
  };
  mapWithAxes({ option: 'inAxes', visit }, args, inAxes, '');
  if (!found) {
    throw new TypeError(
      'vmap: no argument has a batch axis; expected at least one tensor whose entry of inAxes is not null',
    );
  }
  return found;
}

function batchAxis(
  option: string,
  axis: number,
  rank: number,
  tensor: Tensor,
  path: string,
): number {
  const at = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(at) && at >= 0 && at < rank) return at;
  const where = option === 'inAxes' ? 'argument' : 'result';
  throw new TypeError(
    `vmap: ${option} ${path ? `at ${path} ` : ''}is ${axis}, but this ${where} is ` +
      `${formatShape(tensor.shape)}; expected ${rank === 0 ? 'null' : `${-rank} to ${rank - 1}, or null`}`,
  );
}

function traceMember<A extends unknown[], T>(
  f: (...args: A) => T,
  args: A,
  inAxes: AxesTree,
  batch: BatchTrace,
): T {
  const visit = (tensor: Tensor, axis: number | null, path: string): Tensor => {
    if (axis === null) return tensor;
    const at = batchAxis('inAxes', axis, tensor.rank, tensor, path);
    return batch.member(moveAxis(tensor.node, at, 0), tensor.lazy, `argument ${path}`);
  };
  const members = mapWithAxes({ option: 'inAxes', visit }, args, inAxes, '') as A;
  const why =
    'set inside vmap, where each member would set its own; return the value and set it outside';
  return batch.run(() => withoutCellWrites(why, () => f(...members)));
}

function batchResult(result: unknown, outAxes: AxesTree, batch: BatchTrace): unknown {
  const members: Tensor[] = [];
  mapTensors(result, (tensor) => members.push(tensor));
  const nodes = members.map((tensor) => tensor.node);
  const wide = batchDependents(nodes, batch.wide, batch.size);
  let next = 0;
  const visit = (tensor: Tensor, axis: number | null, path: string): Tensor => {
    const all = wide[next++];
    const finish = (node: Node) =>
      new Tensor(new Lazy(tensor.device, node, [...batch.sources, tensor.lazy]));
    if (axis !== null) {
      const at = batchAxis('outAxes', axis, tensor.rank + 1, tensor, path);
      return finish(moveAxis(all ?? repeat(tensor.node, batch.size), 0, at));
    }
    if (!all) return finish(tensor.node);
    throw new TypeError(
      `vmap: outAxes ${path ? `at ${path} ` : ''}is null, but the result differs between members; ` +
        'expected the place of the batch axis',
    );
  };
  return mapWithAxes({ option: 'outAxes', visit }, result, outAxes, '');
}

function moveAxis(node: Node, from: number, to: number): Node {
  const order = node.shape.map((_, axis) => axis).filter((axis) => axis !== from);
  order.splice(to, 0, from);
  return g.permute(node, order);
}
