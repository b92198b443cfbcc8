import { DTYPES } from '../dtype.ts';
import {
  asType,
  type Binary,
  binaryOf,
  bitcastOf,
  compareOf,
  convertOf,
  fmaOf,
  type Unary,
  unaryOf,
} from './interpret-arith.ts';
import { pairDot, toPair } from './interpret-bf16.ts';
import type { Frame } from './interpret-frame.ts';
import { narrowing, widening } from './interpret-memory.ts';
import { compileTile } from './interpret-tiles.ts';
import { isTileStatement } from './tiles.ts';
import type {
  ByteDotValue,
  CheckedValue,
  LoadValue,
  Loop,
  PairsValue,
  Statement,
  Store,
  Value,
  WordsValue,
} from './types.ts';

type Step = () => void;

/**
 * Turns statements into closures over a frame. (Generated source would run faster, but pages with a
 * content security policy refuse it.)
 */
export function compileBlock(frame: Frame, statements: readonly Statement[]): Step {
  const steps = statements.map((statement) => compileStatement(frame, statement));
  const count = steps.length;
  return () => {
    for (let i = 0; i < count; i++) steps[i]();
  };
}

function compileStatement(frame: Frame, statement: Statement): Step {
  if (isTileStatement(statement)) return compileTile(frame, statement);
  switch (statement.kind) {
    case 'store':
      return compileStore(frame, statement);
    case 'prefetch':
      return () => {};
    case 'loop':
      return compileLoop(frame, statement);
    default:
      return compileValue(frame, statement);
  }
}

function compileValue(frame: Frame, value: Value): Step {
  const r = frame.registers;
  const { dtype, lanes } = value;
  switch (value.kind) {
    case 'const': {
      const to = frame.define(value);
      const x = asType(dtype, value.value);
      return () => {
        r[to] = x;
      };
    }
    case 'index': {
      const to = frame.define(value);
      const base = frame.index(value.index);
      const { step } = value;
      return () => {
        const first = base();
        for (let l = 0; l < lanes; l++) r[to + l] = (first + step * l) | 0;
      };
    }
    case 'load':
      return compileLoad(frame, value);
    case 'words':
      return compileWords(frame, value);
    case 'byteDot':
      return compileByteDot(frame, value);
    case 'unary':
      return mapLanes(frame, value, value.a, unaryOf(value.fn, dtype));
    case 'convert':
      return mapLanes(frame, value, value.a, convertOf(value.a.dtype, dtype));
    case 'bitcast':
      return mapLanes(frame, value, value.a, bitcastOf(value.a.dtype, dtype));
    case 'binary':
      return zipLanes(frame, value, value.a, value.b, binaryOf(value.fn, dtype));
    case 'compare':
      return zipLanes(frame, value, value.a, value.b, compareOf(value.fn));
    case 'select': {
      const [c, a, b] = [frame.use(value.condition), frame.use(value.a), frame.use(value.b)];
      const to = frame.define(value);
      return () => {
        for (let l = 0; l < lanes; l++) r[to + l] = r[c + l] !== 0 ? r[a + l] : r[b + l];
      };
    }
    case 'fma': {
      const fma = fmaOf(dtype, frame.fusedFma);
      const [a, b, c] = [frame.use(value.a), frame.use(value.b), frame.use(value.c)];
      const to = frame.define(value);
      return () => {
        for (let l = 0; l < lanes; l++) r[to + l] = fma(r[a + l], r[b + l], r[c + l]);
      };
    }
    case 'pairs':
      return compilePairs(frame, value);
    case 'pairDot': {
      const [a, b, c] = [frame.use(value.a), frame.use(value.b), frame.use(value.c)];
      const to = frame.define(value);
      return () => {
        for (let l = 0; l < lanes; l++) r[to + l] = pairDot(r[a + l], r[b + l], r[c + l]);
      };
    }
    case 'splat': {
      const a = frame.use(value.a);
      const to = frame.define(value);
      return () => {
        r.fill(r[a], to, to + lanes);
      };
    }
    case 'pack': {
      const items = value.items.map((item) => frame.use(item));
      const to = frame.define(value);
      return () => {
        for (let l = 0; l < lanes; l++) r[to + l] = r[items[l]];
      };
    }
    case 'shuffle': {
      const [a, b] = [frame.use(value.a), frame.use(value.b)];
      const from = value.places.map((p) => (p < lanes ? a + p : b + p - lanes));
      const to = frame.define(value);
      return () => {
        for (let l = 0; l < lanes; l++) r[to + l] = r[from[l]];
      };
    }
    case 'lane': {
      const from = frame.use(value.a) + value.lane;
      const to = frame.define(value);
      return () => {
        r[to] = r[from];
      };
    }
    case 'checked':
      return compileChecked(frame, value);
    case 'carried':
    case 'result':
      return frame.fail(`a ${value.kind} value as statement`);
    default:
      return value satisfies never;
  }
}

function mapLanes(frame: Frame, value: Value, of: Value, fn: Unary): Step {
  const r = frame.registers;
  const { lanes } = value;
  const a = frame.use(of);
  const to = frame.define(value);
  return () => {
    for (let l = 0; l < lanes; l++) r[to + l] = fn(r[a + l]);
  };
}

function zipLanes(frame: Frame, value: Value, left: Value, right: Value, fn: Binary): Step {
  const r = frame.registers;
  const { lanes } = value;
  const [a, b] = [frame.use(left), frame.use(right)];
  const to = frame.define(value);
  return () => {
    for (let l = 0; l < lanes; l++) r[to + l] = fn(r[a + l], r[b + l]);
  };
}

function compileChecked(frame: Frame, value: CheckedValue): Step {
  const r = frame.registers;
  const { size, check } = value;
  const a = frame.use(value.a);
  const to = frame.define(value);
  return () => {
    const x = r[a];
    if (check !== undefined && (x < 0 || x >= size)) frame.check ??= { check, value: x, size };
    r[to] = Math.max(0, Math.min(size - 1, x));
  };
}

function compileLoad(frame: Frame, load: LoadValue): Step {
  const r = frame.registers;
  const { buffer, step, lanes } = load;
  const memory = frame.memory;
  const slot = frame.bufferSlot(buffer);
  const at = frame.index(load.index);
  const holds = frame.mask(load.mask, lanes);
  const widen = widening(buffer.dtype);
  const other = asType(load.dtype, load.other);
  const to = frame.define(load);
  const guard = frame.guard(buffer);
  return () => {
    const array = memory[slot];
    const first = at();
    if (!holds) guard(first, step * (lanes - 1));
    for (let l = 0; l < lanes; l++) {
      if (holds && !holds(l)) {
        r[to + l] = other;
        continue;
      }
      if (holds) guard(first + step * l, 0);
      const x = array[first + step * l];
      r[to + l] = widen ? widen(x) : x;
    }
  };
}

function compileWords(frame: Frame, words: WordsValue): Step {
  const r = frame.registers;
  const { buffer, lanes } = words;
  const memory = frame.memory;
  const slot = frame.bufferSlot(buffer);
  const at = frame.index(words.index);
  const to = frame.define(words);
  const guard = frame.guard(buffer);
  const bits = 8 * DTYPES[buffer.dtype].bytes;
  const count = 32 / bits;
  const mask = 2 ** bits - 1;
  return () => {
    const array = memory[slot];
    const first = at();
    guard(first, count * lanes - 1);
    for (let l = 0; l < lanes; l++) {
      let word = 0;
      for (let i = 0; i < count; i++) {
        word |= ((array[first + count * l + i] as number) & mask) << (bits * i);
      }
      r[to + l] = word;
    }
  };
}

function compileByteDot(frame: Frame, value: ByteDotValue): Step {
  const r = frame.registers;
  const { lanes } = value;
  const [a, b] = [value.a, value.b].map((list) => list.map((x) => frame.use(x)));
  const start = frame.use(value.start);
  const to = frame.define(value);
  return () => {
    for (let l = 0; l < lanes; l++) {
      let sum = r[start + l];
      for (let i = 0; i < a.length; i++) {
        const [x, y] = [r[a[i] + l], r[b[i] + l]];
        for (let shift = 0; shift < 32; shift += 8) {
          sum += ((x << (24 - shift)) >> 24) * ((y >>> shift) & 255);
        }
      }
      r[to + l] = sum | 0;
    }
  };
}

function compilePairs(frame: Frame, value: PairsValue): Step {
  const r = frame.registers;
  const { lanes, order } = value;
  const [a, b] = [frame.use(value.a), frame.use(value.b)];
  const to = frame.define(value);
  const half = lanes / 2;
  return () => {
    for (let l = 0; l < lanes; l++) {
      const from = l < half ? a + 2 * l : b + 2 * (l - half);
      const [low, high] = order === 'across' ? [a + l, b + l] : [from, from + 1];
      r[to + l] = toPair(r[low], r[high]);
    }
  };
}

function compileStore(frame: Frame, store: Store): Step {
  const r = frame.registers;
  const { buffer, value } = store;
  const { lanes } = value;
  const memory = frame.memory;
  const slot = frame.bufferSlot(buffer);
  const at = frame.index(store.index);
  const holds = frame.mask(store.mask, lanes);
  const narrow = narrowing(buffer.dtype);
  const from = frame.use(value);
  const guard = frame.guard(buffer);
  return () => {
    const array = memory[slot];
    const first = at();
    if (!holds) guard(first, lanes - 1);
    for (let l = 0; l < lanes; l++) {
      if (holds && !holds(l)) continue;
      if (holds) guard(first + l, 0);
      const x = r[from + l];
      array[first + l] = narrow ? narrow(x) : x;
    }
  };
}

function compileLoop(frame: Frame, loop: Loop): Step {
  const r = frame.registers;
  const extent = frame.index(loop.atom.extent);
  const { carried } = loop;
  const from = carried.flatMap((c) => frame.useLanes(c.init));
  for (const c of carried) frame.define(c.inside);
  const inside = carried.flatMap((c) => frame.useLanes(c.inside));
  const [counter, body] = frame.inLoop(loop, () => compileBlock(frame, loop.body));
  const next = carried.flatMap((c) => frame.useLanes(c.next));
  for (const c of carried) frame.define(c.result);
  const results = carried.flatMap((c) => frame.useLanes(c.result));
  // All are read before any is written: carried values may change places.
  const moved = new Float64Array(inside.length);
  const move = (source: readonly number[], target: readonly number[]) => {
    for (let k = 0; k < moved.length; k++) moved[k] = r[source[k]];
    for (let k = 0; k < moved.length; k++) r[target[k]] = moved[k];
  };
  return () => {
    const turns = extent();
    move(from, inside);
    for (let i = 0; i < turns; i++) {
      r[counter] = i;
      body();
      move(next, inside);
    }
    move(inside, results);
  };
}
