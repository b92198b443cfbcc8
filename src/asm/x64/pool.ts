import { badArgument } from '../../base/errors.ts';
import type { Label } from './memory.ts';

interface Constant {
  readonly label: Label;
  readonly bytes: Uint8Array;
  alignment: number;
}

/** A constant of the pool where it came to lie. */
export interface PlacedConstant {
  readonly label: Label;
  readonly bytes: Uint8Array;
  /** From the beginning of the pool. */
  readonly offset: number;
}

/** The pool begins at a multiple of this, so no constant can ask for more. */
export const POOL_ALIGNMENT = 64;

/** Constants that code reads. Equal bytes are kept once, with the strictest alignment asked for. */
export class ConstantPool {
  readonly #constants = new Map<string, Constant>();

  add(bytes: Uint8Array, alignment: number, newLabel: () => Label): Label {
    if (alignment < 1 || alignment > POOL_ALIGNMENT || (alignment & (alignment - 1)) !== 0) {
      throw badArgument(
        'constant',
        'alignment',
        alignment,
        `a power of two up to ${POOL_ALIGNMENT}`,
      );
    }
    const key = bytes.join(' ');
    const known = this.#constants.get(key);
    if (known) {
      known.alignment = Math.max(known.alignment, alignment);
      return known.label;
    }
    const label = newLabel();
    this.#constants.set(key, { label, bytes: bytes.slice(), alignment });
    return label;
  }

  /** Strictest first, so that little is lost between them. */
  placed(): PlacedConstant[] {
    const constants = [...this.#constants.values()].sort((a, b) => b.alignment - a.alignment);
    let end = 0;
    return constants.map(({ label, bytes, alignment }) => {
      const offset = Math.ceil(end / alignment) * alignment;
      end = offset + bytes.length;
      return { label, bytes, offset };
    });
  }
}

/** What fits the size: a vector of 64 bytes does not cross a cache line, a float needs no more than 4. */
export function naturalAlignment(size: number): number {
  let alignment = 1;
  while (alignment < size && alignment < POOL_ALIGNMENT) alignment *= 2;
  return alignment;
}
