import { InternalError } from '../../base/errors.ts';
import { DTYPES } from '../dtype.ts';
import { valueDType } from './builder.ts';
import {
  add,
  atLane,
  hasLane,
  type Index,
  type LoopAtom,
  laneStep,
  lanesOf,
  range,
  visitAtoms,
} from './index-expr.ts';
import { operandsOf } from './operands.ts';
import { printIndex, printKernel, printStatement } from './print.ts';
import {
  dotShapes,
  isTileStatement,
  sameShape,
  TILES,
  type TileShape,
  tileRow,
  tileShapes,
} from './tiles.ts';
import type {
  Buffer,
  Kernel,
  KernelTarget,
  Loop,
  Mask,
  Statement,
  Store,
  TileLoad,
  TileStatement,
  TileStore,
  Value,
} from './types.ts';
import { WASM_KERNELS } from './types.ts';
import { isProvenBelow } from './value-range.ts';
import { largest, smallest, unprovenAccess } from './verify-bounds.ts';
import { same, typeFault } from './verify-types.ts';

/**
 * Refuses a kernel that uses what is not defined, mixes types or lanes, or makes an access that is
 * not proven to lie inside its buffer. Throws an InternalError with the kernel, the statement and
 * what is wrong with it. A kernel that passes touches no other memory, whatever its data.
 *
 * @param target what it is built for; its number of lanes is the kernel's own
 */
export function verifyKernel(
  kernel: Kernel,
  target: Omit<KernelTarget, 'lanes'> = WASM_KERNELS,
): void {
  new Verifier(kernel, target).run();
}

class Verifier {
  readonly #kernel: Kernel;
  readonly #target: Omit<KernelTarget, 'lanes'>;
  readonly #values = new Map<number, Value>();
  readonly #loops = new Map<number, LoopAtom>();
  readonly #buffers = new Set<Buffer>();
  /** Ids of #values in order of definition: leaving a block forgets the last ones. */
  readonly #visible: number[] = [];
  /** Ids once defined, those now out of scope too: none may return. */
  readonly #seen = new Set<number>();
  readonly #seenLoops = new Set<number>();
  /** Tiles that hold something here. */
  #tiles: ReadonlySet<number> = new Set();
  readonly #tileShapes: readonly TileShape[];
  #current: Statement | undefined;

  constructor(kernel: Kernel, target: Omit<KernelTarget, 'lanes'>) {
    this.#kernel = kernel;
    this.#target = target;
    this.#tileShapes = tileShapes(kernel.body);
  }

  run(): void {
    const { buffers, locals, vars, body, lanes } = this.#kernel;
    if (![4, 8, 16].includes(lanes)) this.#fail(`vectors of ${lanes} lanes`);
    for (const b of buffers) this.#declare(b, b.role !== 'local');
    for (const b of locals) this.#declare(b, b.role === 'local');
    const names = new Set<string>();
    for (const { name, min, max } of vars) {
      if (names.has(name)) this.#fail(`var ${name} is declared twice`);
      names.add(name);
      if (!Number.isInteger(min) || !Number.isInteger(max) || min > max) {
        this.#fail(`var ${name} in ${min} .. ${max}`);
      }
    }
    this.#block(body, 0);
  }

  #declare(buffer: Buffer, rightRole: boolean): void {
    const { name, size, role } = buffer;
    if (!rightRole) this.#fail(`buffer ${name} is ${role}`);
    if (!Number.isInteger(size) || size < 0) this.#fail(`buffer ${name} has size ${size}`);
    if (this.#buffers.has(buffer)) this.#fail(`buffer ${name} is declared twice`);
    this.#buffers.add(buffer);
  }

  #fail(what: string): never {
    const { name } = this.#kernel;
    const at = this.#current ? ` in '${printStatement(this.#kernel, this.#current)}'` : '';
    throw new InternalError(`kernel ${name}: ${what}${at}\n${printKernel(this.#kernel)}`);
  }

  #prefetch(): void {
    if (!this.#target.hints) this.#fail('the target has no prefetch');
  }

  #block(statements: readonly Statement[], depth: number): void {
    for (const statement of statements) {
      this.#current = statement;
      if (statement.kind === 'loop') this.#loop(statement, depth);
      else if (statement.kind === 'store') this.#store(statement);
      else if (statement.kind === 'prefetch') this.#prefetch();
      else if (isTileStatement(statement)) this.#tile(statement);
      else {
        this.#value(statement);
        this.#define(statement, depth);
      }
    }
  }

  #define(value: Value, depth: number): void {
    if (this.#seen.has(value.id)) this.#fail(`value ${value.id} is defined twice`);
    if (value.depth !== depth) this.#fail(`depth ${value.depth} at depth ${depth}`);
    const { lanes } = this.#kernel;
    const { wideByteDot, bf16 } = this.#target;
    const fault = typeFault(value, { lanes, wideByteDot, bf16 });
    if (fault !== undefined) this.#fail(fault);
    this.#seen.add(value.id);
    this.#values.set(value.id, value);
    this.#visible.push(value.id);
  }

  #use(value: Value): void {
    if (this.#values.get(value.id) === value) return;
    const why = this.#seen.has(value.id) ? 'is out of scope' : 'is not defined yet';
    this.#fail(`a ${value.kind} of ${value.dtype} (value ${value.id}) ${why}`);
  }

  #value(value: Value): void {
    for (const operand of operandsOf(value)) this.#use(operand);
    switch (value.kind) {
      case 'index':
        this.#indexValue(value.index, value.step * (value.lanes - 1));
        break;
      case 'load': {
        const { buffer, index, step, lanes, mask } = value;
        this.#buffer(buffer);
        if (value.dtype !== valueDType(buffer.dtype)) {
          this.#fail(`${value.dtype} from a buffer of ${buffer.dtype}`);
        }
        this.#access(buffer, index, step, lanes, mask);
        break;
      }
      case 'words': {
        const { buffer, index, lanes } = value;
        this.#buffer(buffer);
        if (buffer.dtype !== 'i8' && buffer.dtype !== 'u8' && buffer.dtype !== 'bf16') {
          this.#fail(`words from a buffer of ${buffer.dtype}`);
        }
        this.#index(index);
        this.#inside(buffer, index, 1, (4 / DTYPES[buffer.dtype].bytes) * lanes, []);
        break;
      }
      case 'checked':
        if (value.check === undefined) {
          if (!isProvenBelow(value.a, value.size)) {
            this.#fail(`an index below ${value.size} is neither checked nor proven`);
          }
        } else if (this.#kernel.checks[value.check] === undefined) {
          this.#fail(`there is no check ${value.check}`);
        }
        break;
      case 'carried':
      case 'result':
        this.#fail(`a ${value.kind} value as a statement`);
        break;
      default:
      // The other kinds have nothing but operands, whose types `typeFault` knows.
    }
  }

  #store(store: Store): void {
    const { buffer, index, value, mask } = store;
    this.#buffer(buffer);
    if (buffer.role === 'in') this.#fail(`a store to ${buffer.name}, which is only read`);
    this.#use(value);
    if (value.dtype !== valueDType(buffer.dtype)) {
      this.#fail(`${value.dtype} into a buffer of ${buffer.dtype}`);
    }
    this.#access(buffer, index, 1, value.lanes, mask);
  }

  #tile(statement: TileStatement): void {
    const { bf16, byteTiles } = this.#target;
    if (bf16 !== 'tiles' && !byteTiles) this.#fail('the target has no tiles');
    const holds = (tile: number) => {
      if (!this.#tiles.has(tile)) this.#fail(`tile ${tile} holds nothing here`);
    };
    switch (statement.kind) {
      case 'tileDot': {
        const { of, sum, a, b } = statement;
        const isThere = of === 'bf16' ? bf16 === 'tiles' : byteTiles;
        if (!isThere) this.#fail(`the target has no tiles of ${of}`);
        for (const tile of [sum, a, b]) holds(tile);
        if (a === b || sum === a || sum === b) this.#fail('a product of tiles needs three');
        for (const [tile, shape] of dotShapes(statement)) {
          if (sameShape(this.#tileShapes[tile], shape)) continue;
          this.#fail(`tile ${tile} has another shape in an earlier product`);
        }
        return;
      }
      case 'tileStore':
        holds(statement.tile);
        if (statement.buffer.role === 'in') this.#fail(`a store to ${statement.buffer.name}`);
        if (statement.buffer.dtype !== 'f32' && statement.buffer.dtype !== 'i32') {
          this.#fail(`a tile to ${statement.buffer.dtype}`);
        }
        this.#tileRows(statement);
        return;
      case 'tileLoad':
        this.#number(statement.tile);
        this.#tileRows(statement);
        break;
      case 'tileZero':
        this.#number(statement.tile);
        break;
      default:
        statement satisfies never;
    }
    this.#tiles = new Set(this.#tiles).add(statement.tile);
  }

  #number(tile: number): void {
    if (!(Number.isInteger(tile) && tile >= 0 && tile < TILES)) this.#fail(`tile ${tile}`);
  }

  /** All rows of a tile lie in its buffer. */
  #tileRows({ tile, buffer, index, stride }: TileLoad | TileStore): void {
    this.#buffer(buffer);
    const shape = this.#tileShapes[tile];
    const row = tileRow(buffer.dtype, shape);
    if (row === undefined) this.#fail(`a tile of ${buffer.dtype}`);
    if (!Number.isInteger(stride) || stride < 0) this.#fail(`a stride of ${stride}`);
    this.#index(index);
    this.#inside(buffer, index, 1, row, []);
    this.#inside(buffer, add(index, (shape.rows - 1) * stride), 1, row, []);
  }

  #buffer(buffer: Buffer): void {
    if (!this.#buffers.has(buffer)) this.#fail(`buffer ${buffer.name} is not declared`);
  }

  #loop(loop: Loop, depth: number): void {
    const { atom, carried, loopKind } = loop;
    if (loopKind === 'thread' && carried.length > 0) {
      this.#fail('a thread loop carries values from turn to turn');
    }
    this.#index(atom.extent);
    if (this.#seenLoops.has(atom.id)) this.#fail(`loop ${atom.id} occurs twice`);
    this.#seenLoops.add(atom.id);
    for (const c of carried) this.#use(c.init);
    this.#loops.set(atom.id, atom);
    const outer = this.#visible.length;
    for (const c of carried) this.#define(c.inside, depth + 1);
    // Turns of a shared loop run on threads that have tiles of their own.
    const tiles = this.#tiles;
    if (loopKind === 'thread') this.#tiles = new Set();
    this.#block(loop.body, depth + 1);
    this.#tiles = tiles;
    this.#current = loop;
    for (const { init, inside, next, result } of carried) {
      this.#use(next);
      for (const other of [init, next, result]) {
        const fault = same(inside, other);
        if (fault !== undefined) this.#fail(`a carried value changes: ${fault}`);
      }
    }
    for (const id of this.#visible.splice(outer)) this.#values.delete(id);
    this.#loops.delete(atom.id);
    for (const c of carried) this.#define(c.result, depth);
  }

  /** Everything in an index must have a value here. */
  #index(index: Index): void {
    this.#integer(index);
    visitAtoms(index, (atom) => {
      switch (atom.kind) {
        case 'loop':
          if (this.#loops.get(atom.id)?.extent.key !== atom.extent.key) {
            this.#fail(`the index uses loop ${atom.key} outside it`);
          }
          break;
        case 'var': {
          const { name, min, max } = atom.variable;
          const known = this.#kernel.vars.find((v) => v.name === name);
          if (known?.min !== min || known.max !== max) {
            this.#fail(`var ${name} in ${min} .. ${max} is not declared`);
          }
          break;
        }
        case 'lane':
          this.#fail('an index still depends on the lane');
          break;
        case 'data': {
          const value = this.#values.get(atom.value);
          if (value?.kind !== 'checked' || value.size > atom.size) {
            this.#fail(`data ${atom.value} below ${atom.size} is no checked value here`);
          }
          break;
        }
        case 'div':
        case 'mod':
          if (!Number.isInteger(atom.by) || atom.by < 1) this.#fail(`a division by ${atom.by}`);
          this.#integer(atom.of);
          break;
        default:
          atom satisfies never;
      }
    });
  }

  #integer(index: Index): void {
    const numbers = [index.constant, ...index.terms.map((t) => t.coefficient)];
    if (!numbers.every(Number.isSafeInteger)) this.#fail(`index ${index} is not of integers`);
  }

  /** The value of an index is an i32: it must not wrap. */
  #indexValue(index: Index, last: number): void {
    this.#index(index);
    const min = smallest(index) + Math.min(0, last);
    const max = largest(index) + Math.max(0, last);
    if (min < -(2 ** 31) || max >= 2 ** 31) this.#fail(`${min} .. ${max} is no i32`);
  }

  #access(buffer: Buffer, index: Index, step: number, lanes: number, mask: Mask): void {
    this.#index(index);
    if (lanes !== 1 && lanes !== this.#kernel.lanes) this.#fail(`${lanes} lanes`);
    const perLane = mask.filter(hasLane);
    for (const m of perLane) this.#laneMask(m, lanes);
    const eachLane = perLane.length === 0 ? 0 : lanes;
    for (const m of mask) if (!hasLane(m)) this.#index(m);
    if (eachLane === 0) this.#inside(buffer, index, step, lanes, mask);
    for (let lane = 0; lane < eachLane; lane++) {
      const own = mask.map((m) => atLane(m, lane));
      for (const m of own) this.#index(m);
      // Such a lane takes no part.
      if (own.some((m) => largest(m) < 0)) continue;
      this.#inside(buffer, add(index, step * lane), step, 1, own);
    }
  }

  /** A condition that has its own answer in each lane. */
  #laneMask(condition: Index, lanes: number): void {
    if (!this.#target.laneMasks) this.#fail('the mask depends on the lane');
    if (lanes === 1) this.#fail('the mask of a single access depends on the lane');
    if (lanesOf(condition) !== lanes) this.#fail(`a mask of ${lanesOf(condition)} lanes`);
    if (!laneStep(condition)) this.#fail('the mask does not depend evenly on the lane');
  }

  /** `lanes` elements from an index on, `step` apart, must lie in the buffer wherever the mask holds. */
  #inside(buffer: Buffer, index: Index, step: number, lanes: number, mask: Mask): void {
    const unproven = unprovenAccess(buffer, index, step, lanes, mask);
    if (!unproven) return;
    const text = (x: Index) => printIndex(this.#kernel, x);
    const bounds = range(index);
    const masks = mask.map((m) => `, ${text(m)} in ${range(m).min} .. ${range(m).max}`).join('');
    this.#fail(
      `an access ${unproven.side} of ${buffer.name}[${buffer.size}] is possible: ` +
        `${text(unproven.expression)} may be ${unproven.min} ` +
        `(index in ${bounds.min} .. ${bounds.max}, ${lanes} lanes of step ${step}${masks})`,
    );
  }
}
