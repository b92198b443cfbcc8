import type { DType } from '../../src/ir/dtype.ts';
import type { KernelBuilder } from '../../src/ir/kernel/builder.ts';
import { add, type Index, mul } from '../../src/ir/kernel/index-expr.ts';
import type { Buffer } from '../../src/ir/kernel/types.ts';

/** What each of the eight tiles is for. */
interface Use {
  readonly of: 'bf16' | 'bytes';
  readonly part: 'sum' | 'a' | 'b';
  /** Of the buffer that it is loaded from. */
  readonly dtype: DType;
}

const BF16 = { of: 'bf16', part: 'sum', dtype: 'f32' } as const;
const PAIRS = { of: 'bf16', part: 'a', dtype: 'bf16' } as const;
const USES: readonly Use[] = [
  BF16,
  BF16,
  { of: 'bytes', part: 'sum', dtype: 'i32' },
  PAIRS,
  PAIRS,
  { ...PAIRS, part: 'b' },
  { of: 'bytes', part: 'a', dtype: 'i8' },
  { of: 'bytes', part: 'b', dtype: 'i8' },
];
const ROWS = 16;
/** Elements of the longest row. */
const ROW: Partial<Record<DType, number>> = { f32: 16, i32: 16, bf16: 32, i8: 64 };
/** Elements that a turn has for tiles that it stores. */
const ROOM = 320;

/** Where random statements of tiles load from and store to. */
export interface TileSurroundings {
  readonly input: (dtype: DType) => Buffer;
  /** An index at which `span` elements of `size` begin. */
  readonly at: (size: number, span: number) => Index;
  /** Of the thread loop around all, and how many turns it has. */
  readonly turn: Index;
  readonly turns: number;
}

/** Random statements of tiles, as far as the target has them. */
export class RandomTiles {
  readonly #b: KernelBuilder;
  readonly #outputs = new Map<DType, Buffer>();
  /** Tiles that hold something at this place. */
  held: ReadonlySet<number> = new Set();

  constructor(b: KernelBuilder) {
    this.#b = b;
  }

  step(a: number, second: number, c: number, around: TileSurroundings): void {
    const { bf16, byteTiles } = this.#b.target;
    const kinds = [...(bf16 === 'tiles' ? ['bf16'] : []), ...(byteTiles ? ['bytes'] : [])];
    if (kinds.length === 0) return;
    const of = kinds[a % kinds.length] as Use['of'];
    const pick = (part: Use['part'], k: number): number => {
      const fitting = USES.flatMap((use, tile) => (use.of === of && use.part === part ? tile : []));
      const tile = fitting[k % fitting.length];
      if (!this.held.has(tile)) this.#fill(tile, k, around);
      return tile;
    };
    if (c % 4 < 2) {
      const [sum, left, right] = [pick('sum', second), pick('a', second >> 1), pick('b', c)];
      this.#b.tile({ kind: 'tileDot', of, sum, a: left, b: right });
    } else if (c % 4 === 2) this.#store(pick('sum', second), a, around);
    else this.#fill(pick((['sum', 'a', 'b'] as const)[second % 3], a), a, around);
  }

  #fill(tile: number, a: number, { input, at }: TileSurroundings): void {
    const { part, dtype } = USES[tile];
    const row = ROW[dtype] ?? 0;
    const buffer = input(dtype);
    const stride = 1 + (a % (dtype === 'i8' ? 2 : 4));
    if (part === 'sum' && a % 3 === 0) this.#b.tile({ kind: 'tileZero', tile });
    else {
      const index = at(buffer.size, (ROWS - 1) * stride + row);
      this.#b.tile({ kind: 'tileLoad', tile, buffer, index, stride });
    }
    this.held = new Set(this.held).add(tile);
  }

  #store(tile: number, a: number, { at, turn, turns }: TileSurroundings): void {
    const { dtype } = USES[tile];
    let buffer = this.#outputs.get(dtype);
    if (!buffer) {
      buffer = this.#b.buffer(`tiles ${dtype}`, dtype, turns * ROOM, 'out');
      this.#outputs.set(dtype, buffer);
    }
    const stride = ROWS + (a % 3);
    const index = add(mul(turn, ROOM), at(ROOM, (ROWS - 1) * stride + 16));
    this.#b.tile({ kind: 'tileStore', tile, buffer, index, stride });
  }
}
