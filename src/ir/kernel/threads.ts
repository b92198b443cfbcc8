import type { Kernel, Loop, Statement } from './types.ts';

/** The loops of a kernel whose turns threads share: those of kind `thread` at the top. */
export function sharedLoops(kernel: Kernel): Loop[] {
  return kernel.body.filter((s): s is Loop => s.kind === 'loop' && s.loopKind === 'thread');
}

/**
 * True when several threads may run a kernel together: all that others can see (stores to outputs,
 * indices found out of range) happens in loops that they share. Otherwise one thread runs it alone.
 */
export function isParallel(kernel: Kernel): boolean {
  const loops: ReadonlySet<Statement> = new Set(sharedLoops(kernel));
  return loops.size > 0 && kernel.body.every((s) => loops.has(s) || !isVisible(s));
}

function isVisible(statement: Statement): boolean {
  if (statement.kind === 'checked') return statement.check !== undefined;
  if (statement.kind === 'store' || statement.kind === 'tileStore')
    return statement.buffer.role !== 'local';
  return statement.kind === 'loop' && statement.body.some(isVisible);
}
