import type { Buffer, Kernel, LoadValue, Statement, Store } from '../../ir/kernel/types.ts';

/**
 * True when `output` may lie in the memory of `input`: every load of the input reads just the place
 * that a store of the same turn writes, and comes before it.
 */
export function mayShareMemory(kernel: Kernel, input: Buffer, output: Buffer): boolean {
  return blockMayShare(kernel.body, input, output);
}

function blockMayShare(block: readonly Statement[], input: Buffer, output: Buffer): boolean {
  const loads: LoadValue[] = [];
  const stores: Store[] = [];
  for (const statement of block) {
    if (statement.kind === 'loop') {
      if (!blockMayShare(statement.body, input, output)) return false;
    } else if (statement.kind === 'words' && statement.buffer === input) {
      return false;
    } else if (statement.kind === 'load' && statement.buffer === input) {
      if (stores.length > 0) return false;
      loads.push(statement);
    } else if (statement.kind === 'store' && statement.buffer === output) {
      stores.push(statement);
    }
  }
  return loads.every((load) => stores.some((store) => samePlaces(load, store)));
}

function samePlaces(load: LoadValue, store: Store): boolean {
  const even = load.lanes === 1 || load.step === 1;
  return even && load.lanes === store.value.lanes && load.index.key === store.index.key;
}
