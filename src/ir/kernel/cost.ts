import { DTYPES } from '../dtype.ts';
import { isSmallFloat } from '../float-formats.ts';
import { type Atom, evaluateIndex, type Index } from './index-expr.ts';
import { isTileStatement, TILE_BYTES, TILE_ROWS, tileShapes } from './tiles.ts';
import type {
  Kernel,
  LoadValue,
  Loop,
  Mask,
  PackValue,
  Statement,
  TileStatement,
  Value,
} from './types.ts';

/** What one run of a kernel costs, vars at their maximum. */
export interface KernelCost {
  /** Float operations on single lanes; fma counts two. */
  readonly flops: number;
  /** Bytes read and written, each access for itself: caches are not modelled. */
  readonly loads: number;
  readonly stores: number;
  /** A weighted count of machine instructions: good for comparing ways to build one kernel. */
  readonly instructions: number;
  /** Elements that vectors take from memory or registers one by one. */
  readonly gathered: number;
}

const BYTES_OF_WORD = 4;
const DIVISION = 4;
const LOOP_TURN = 2;
/** Of a small float, from or to the f32 that registers hold. */
const WIDENING = 6;
const NARROWING = 14;
/** Products of tiles take about as long as so many instructions, and so does moving one. */
const TILE_DOT = 16;
const TILE_MOVE = 8;
/** Those of bytes have twice the depth in half the words. */
const TILE_FLOPS = 2 * TILE_ROWS * TILE_ROWS * 2 * TILE_ROWS;

/** Estimates a kernel's cost. A loop whose extent depends on others counts at their mean. */
export function kernelCost(kernel: Kernel): KernelCost {
  return blockCost(kernel.body);
}

/** The same for some of a kernel's statements. */
export function blockCost(block: readonly Statement[]): KernelCost {
  const total = { flops: 0, loads: 0, stores: 0, instructions: 0, gathered: 0 };
  const means = new Map<number, number>();
  const shapes = tileShapes(block);
  const count = (statements: readonly Statement[], turns: number): void => {
    for (const statement of statements) {
      if (statement.kind === 'loop') {
        const extent = tripCount(statement, means);
        means.set(statement.atom.id, (extent - 1) / 2);
        total.instructions += turns * extent * LOOP_TURN;
        count(statement.body, turns * extent);
        continue;
      }
      total.instructions += turns * instructionsOf(statement);
      if (statement.kind === 'prefetch') continue;
      if (isTileStatement(statement)) {
        if (statement.kind === 'tileLoad') {
          const { rows, rowBytes } = shapes[statement.tile];
          total.loads += turns * rows * rowBytes;
        } else if (statement.kind === 'tileStore') total.stores += turns * TILE_BYTES;
        else if (statement.kind === 'tileDot') total.flops += turns * TILE_FLOPS;
        continue;
      }
      if (isGathered(statement)) total.gathered += turns * statement.lanes;
      if (statement.kind === 'store') {
        total.stores += turns * statement.value.lanes * DTYPES[statement.buffer.dtype].bytes;
      } else if (statement.kind === 'load') {
        total.loads += turns * statement.lanes * DTYPES[statement.buffer.dtype].bytes;
      } else if (statement.kind === 'words') {
        total.loads += turns * statement.lanes * BYTES_OF_WORD;
      } else total.flops += turns * flopsOf(statement);
    }
  };
  count(block, 1);
  return total;
}

function tripCount(loop: Loop, means: ReadonlyMap<number, number>): number {
  const valueAt = (atom: Atom): number => {
    if (atom.kind === 'loop') return means.get(atom.id) ?? 0;
    if (atom.kind === 'var') return atom.variable.max;
    return atom.kind === 'data' ? (atom.size - 1) / 2 : 0;
  };
  return Math.max(0, evaluateIndex(loop.atom.extent, valueAt));
}

function isGathered(
  statement: Exclude<Statement, Loop | TileStatement>,
): statement is LoadValue | PackValue {
  if (statement.kind === 'pack') return true;
  return statement.kind === 'load' && statement.lanes > 1 && ![0, 1].includes(statement.step);
}

function flopsOf(value: Value): number {
  if (value.dtype !== 'f32' && value.dtype !== 'f64') return 0;
  switch (value.kind) {
    case 'unary':
    case 'binary':
      return value.lanes;
    case 'fma':
      return 2 * value.lanes;
    case 'pairDot':
      return 4 * value.lanes;
    default:
      return 0;
  }
}

function instructionsOf(statement: Exclude<Statement, Loop>): number {
  switch (statement.kind) {
    case 'store': {
      const { buffer, mask, index } = statement;
      const own = isSmallFloat(buffer.dtype) ? 1 + NARROWING : 1;
      return own + maskCost(mask) + addressCost(index);
    }
    case 'prefetch':
    case 'tileZero':
      return 1;
    case 'tileLoad':
    case 'tileStore':
      return TILE_MOVE + addressCost(statement.index);
    case 'tileDot':
      return TILE_DOT;
    case 'const':
      // Emitters fold constants into what uses them, or compute them once.
      return 0;
    case 'index':
      return 1 + addressCost(statement.index);
    case 'load': {
      const { lanes, index, mask, buffer } = statement;
      const own = isGathered(statement) ? 2 * lanes : 1;
      const widening = isSmallFloat(buffer.dtype) ? WIDENING : 0;
      return own + widening + maskCost(mask) + addressCost(index);
    }
    case 'words':
      return 1 + addressCost(statement.index);
    case 'byteDot':
      // A product and a sum for each pair, and the halves of the lanes.
      return 2 * statement.a.length;
    case 'unary':
      return statement.fn === 'sqrt' ? DIVISION : 1;
    case 'binary':
      if (statement.fn === 'div') return DIVISION;
      // No machine has a float remainder; integer vectors divide lane by lane.
      return statement.fn === 'rem' ? 2 * DIVISION * statement.lanes : 1;
    case 'pairs':
      return 2;
    case 'compare':
    case 'select':
    case 'fma':
    case 'pairDot':
    case 'convert':
    case 'splat':
    case 'shuffle':
    case 'lane':
      return 1;
    case 'bitcast':
      return statement.lanes === 1 ? 1 : 0;
    case 'pack':
      return statement.items.length;
    case 'checked':
      return statement.check === undefined ? 0 : 3;
    case 'carried':
    case 'result':
      return 0;
    default:
      return statement satisfies never;
  }
}

/** A comparison and a branch for each condition, and its computation. */
function maskCost(mask: Mask): number {
  return mask.reduce((sum, m) => sum + 2 + m.terms.length + addressCost(m), 0);
}

/** Sums of strides are kept by the loops or folded into addresses; divisions are not. */
function addressCost(index: Index): number {
  return index.terms.reduce((sum, { atom }) => {
    if (atom.kind !== 'div' && atom.kind !== 'mod') return sum;
    return sum + DIVISION + addressCost(atom.of);
  }, 0);
}
