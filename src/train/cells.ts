import type { StoredTensor } from '../io/index.ts';
import { type Cell, tensor } from '../tensor/index.ts';

/** The values of cells, as a safetensors file keeps them. */
export async function storedCells(
  cells: ReadonlyMap<string, Cell>,
): Promise<Map<string, StoredTensor>> {
  const stored = new Map<string, StoredTensor>();
  for (const [name, { held }] of cells) {
    const shape = held.shape as readonly number[];
    stored.set(name, { dtype: held.dtype, shape, data: await held.data() });
  }
  return stored;
}

/**
 * Puts stored values into cells.
 *
 * @throws Error naming what is missing, too much, or of another type or shape; nothing is set then
 */
export function setCells(
  cells: ReadonlyMap<string, Cell>,
  stored: ReadonlyMap<string, StoredTensor>,
): void {
  for (const name of stored.keys()) {
    if (!cells.has(name)) throw new Error(`it holds ${name}, which this run does not have`);
  }
  for (const [name, cell] of cells) {
    const found = stored.get(name);
    if (!found) throw new Error(`${name} is missing; expected it for this run`);
    const is = `${found.dtype}[${found.shape.join(', ')}]`;
    const wanted = `${cell.dtype}[${cell.shape.join(', ')}]`;
    if (is !== wanted) throw new Error(`${name} is ${is}; expected ${wanted} in this run`);
  }
  for (const [name, cell] of cells) {
    const { dtype, shape, data } = stored.get(name) as StoredTensor;
    const value = tensor(data, { dtype, shape, device: cell.held.device });
    cell.set(value);
    value.dispose();
  }
}
