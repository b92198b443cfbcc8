import type { Mnemonic } from '../../../asm/index.ts';
import { InternalError } from '../../../base/errors.ts';
import type {
  BinaryValue,
  ByteDotValue,
  ConvertValue,
  FmaValue,
  IndexValue,
  UnaryValue,
  Value,
} from '../../../ir/kernel/types.ts';
import { bitsOf, type Emitter, floatBits, refuseDoubles } from './emitter.ts';
import { emitFloatRemainder } from './float-remainder.ts';
import { general, type Place, place, type View, vector } from './machine.ts';
import { emitPairs } from './pairs.ts';

const MAGNITUDE = 0x7fffffff;
const SIGN = -(2 ** 31);
/** Rounding of vrndscaleps and vroundps: to nearest even, down, up, towards 0; quiet. */
const ROUNDING = { nearest: 8, floor: 9, ceil: 10, trunc: 11 } as const;

/** Computes a value that is no load. */
export function emitOperation(e: Emitter, value: Value): void {
  const { m, isa } = e;
  refuseDoubles(value.dtype);
  switch (value.kind) {
    case 'index':
      emitIndex(e, value);
      return;
    case 'unary':
      emitUnary(e, value);
      return;
    case 'binary':
      emitBinary(e, value);
      return;
    case 'compare': {
      const a = e.view(value.a);
      const b = value.a.dtype === 'bool' ? e.view(value.b) : e.operand(value.b);
      isa.compare(e, e.target(value), value.fn, value.a.dtype, a, b);
      return;
    }
    case 'select': {
      const [condition, a, b] = [e.use(value.condition), e.view(value.a), e.view(value.b)];
      if (value.dtype === 'bool') selectBool(e, value, e.view(value.condition), a, b);
      else isa.select(e, e.target(value), condition, a, b);
      return;
    }
    case 'fma':
      emitFma(e, value);
      return;
    case 'byteDot':
      emitByteDot(e, value);
      return;
    case 'pairs':
      emitPairs(e, value);
      return;
    case 'pairDot': {
      const [a, b] = memoryLast(e, value.a, value.b, true);
      const to = e.changed(value, value.c, [value.a, value.b]);
      m.changes('vdpbf16ps', to, a, b);
      return;
    }
    case 'convert':
      emitConvert(e, value);
      return;
    case 'bitcast':
      copyBits(e, value, value.a);
      return;
    case 'splat':
      emitSplat(e, value, value.a);
      return;
    case 'pack':
      emitPack(e, value, value.items);
      return;
    case 'shuffle': {
      if (value.dtype === 'bool') {
        const [a, b] = [e.use(value.a), e.use(value.b)];
        isa.boolShuffle(e, e.target(value), a, b, value.places);
        return;
      }
      const [a, b] = [e.view(value.a), e.view(value.b)];
      isa.shuffle(e, e.target(value), a, b, value.places);
      return;
    }
    case 'lane': {
      const a = e.view(value.a);
      if (value.dtype === 'bool') isa.boolLane(e, e.target(value), a.register, value.lane);
      else isa.lane(e, e.target(value), a, value.lane);
      return;
    }
    case 'const':
    case 'load':
    case 'words':
    case 'carried':
    case 'result':
    case 'checked':
      throw new InternalError(`${value.kind} has no register`);
    default:
      value satisfies never;
  }
}

/** The same bits by another name; a register of their own only where the other one will change. */
function copyBits(e: Emitter, value: Value, from: Value): void {
  if (!e.share(value, from)) e.m.writes('vmovaps', e.target(value), e.view(from));
}

function emitIndex(e: Emitter, value: IndexValue): void {
  const { m } = e;
  const base = general(e.index(value.index), 32);
  if (value.lanes === 1) {
    m.writes('vmovd', e.target(value), base);
    return;
  }
  const bits = bitsOf(value);
  const [one, all] = [e.temporary(128), e.temporary(bits)];
  m.writes('vmovd', one, base);
  m.writes('vpbroadcastd', all, one);
  const steps = Array.from({ length: e.isa.bits / 32 }, (_, lane) => lane * value.step);
  m.writes('vpaddd', e.target(value), all, e.table(steps));
}

function selectBool(e: Emitter, value: Value, condition: View, a: View, b: View): void {
  const { m, isa } = e;
  const part = () => ({ ...condition, register: m.virtual(isa.bools) });
  const [yes, no] = [part(), part()];
  isa.boolBinary(e, yes, 'and', condition, a);
  isa.boolBinary(e, no, 'andn', condition, b);
  isa.boolBinary(e, e.target(value), 'or', yes, no);
}

function emitUnary(e: Emitter, value: UnaryValue): void {
  const { m, isa } = e;
  const { fn, dtype } = value;
  const bits = bitsOf(value);
  const constant = (word: number): View => ({ ...e.constant(word), bits });
  const a = e.view(value.a);
  switch (fn) {
    case 'not':
      if (dtype === 'bool') isa.boolNot(e, e.target(value), a);
      else m.writes('vxorps', e.target(value), a, constant(-1));
      return;
    case 'neg':
      if (dtype === 'f32') m.writes('vxorps', e.target(value), a, constant(SIGN));
      else m.writes('vpsubd', e.target(value), constant(0), a);
      return;
    case 'abs':
      if (dtype === 'f32') m.writes('vandps', e.target(value), a, constant(MAGNITUDE));
      else if (dtype === 'u32') m.writes('vmovaps', e.target(value), a);
      else m.writes('vpabsd', e.target(value), a);
      return;
    case 'sqrt':
      m.writes('vsqrtps', e.target(value), a);
      return;
    case 'floor':
    case 'ceil':
    case 'trunc':
    case 'nearest': {
      const name = isa.bits === 512 ? 'vrndscaleps' : 'vroundps';
      m.writes(name, e.target(value), a, ROUNDING[fn]);
      return;
    }
    default:
      fn satisfies never;
  }
}

const FLOATS: Partial<Record<BinaryValue['fn'], Mnemonic>> = {
  add: 'vaddps',
  sub: 'vsubps',
  mul: 'vmulps',
  div: 'vdivps',
};
const INTEGERS: Partial<Record<BinaryValue['fn'], Mnemonic>> = {
  add: 'vpaddd',
  sub: 'vpsubd',
  mul: 'vpmulld',
  and: 'vandps',
  or: 'vorps',
  xor: 'vxorps',
};
const INTEGER_EXTREMES = {
  i32: { min: 'vpminsd', max: 'vpmaxsd' },
  u32: { min: 'vpminud', max: 'vpmaxud' },
} as const;
const COMMUTES: ReadonlySet<BinaryValue['fn']> = new Set(['add', 'mul', 'and', 'or', 'xor']);

function emitBinary(e: Emitter, value: BinaryValue): void {
  const { m, isa } = e;
  const { fn, dtype } = value;
  if (dtype === 'bool') {
    emitBoolBinary(e, value);
    return;
  }
  const name = (dtype === 'f32' ? FLOATS : INTEGERS)[fn];
  if (name) {
    const [a, b] = memoryLast(e, value.a, value.b, COMMUTES.has(fn));
    m.writes(name, e.target(value), a, b);
    return;
  }
  const [a, b] = [e.view(value.a), e.view(value.b)];
  switch (fn) {
    case 'min':
    case 'max':
      if (dtype === 'f32') isa.floatMinMax(e, e.target(value), fn, a, b);
      else m.writes(INTEGER_EXTREMES[dtype === 'u32' ? 'u32' : 'i32'][fn], e.target(value), a, b);
      return;
    case 'div':
      isa.intDivide(e, e.target(value), dtype === 'u32', a, b);
      return;
    case 'rem':
      if (dtype === 'f32') emitFloatRemainder(e, e.target(value), a, b, value.lanes);
      else integerRemainder(e, value, a, b);
      return;
    case 'shl':
    case 'shr':
      emitShift(e, value, a, b);
      return;
    default:
      throw new InternalError(`no instruction for ${fn} of ${dtype}`);
  }
}

/** Two operands, the second in memory where one of them can be read there. */
function memoryLast(e: Emitter, a: Value, b: Value, commutes: boolean): [View, View | Place] {
  if (commutes && e.inMemory(a) && !e.inMemory(b)) {
    const other = e.view(b);
    return [other, e.operand(a)];
  }
  const first = e.view(a);
  return [first, e.operand(b)];
}

function emitBoolBinary(e: Emitter, value: BinaryValue): void {
  const [a, b] = [e.view(value.a), e.view(value.b)];
  const names = { and: 'and', or: 'or', xor: 'xor', min: 'and', max: 'or', mul: 'and' } as const;
  const name = names[value.fn as keyof typeof names];
  if (!name) throw new InternalError(`no instruction for ${value.fn} of bool`);
  e.isa.boolBinary(e, e.target(value), name, a, b);
}

/** a - (a / b) b; for b = 0 the quotient is 0, and so is the remainder. */
function integerRemainder(e: Emitter, value: BinaryValue, a: View, b: View): void {
  const { m } = e;
  const [quotient, product, rest] = [0, 1, 2].map(() => e.temporary(a.bits));
  e.isa.intDivide(e, quotient, value.dtype === 'u32', a, b);
  m.writes('vpmulld', product, quotient, b);
  m.writes('vpsubd', rest, a, product);
  const divides = { ...rest, register: m.virtual(e.isa.bools) };
  e.isa.nonZero(e, divides, b);
  e.isa.select(e, e.target(value), divides.register, rest, { ...e.constant(0), bits: a.bits });
}

/** Shifts count modulo 32. */
function emitShift(e: Emitter, value: BinaryValue, a: View, b: View): void {
  const { m } = e;
  const left = value.fn === 'shl';
  const arithmetic = value.dtype === 'i32';
  const count = value.b.kind === 'splat' ? value.b.a : value.b;
  if (count.kind === 'const') {
    const name = left ? 'vpslld' : arithmetic ? 'vpsrad' : 'vpsrld';
    m.writes(name, e.target(value), a, count.value & 31);
    return;
  }
  const counts = e.temporary(a.bits);
  m.writes('vandps', counts, b, { ...e.constant(31), bits: a.bits });
  const name = left ? 'vpsllvd' : arithmetic ? 'vpsravd' : 'vpsrlvd';
  m.writes(name, e.target(value), a, counts);
}

function emitFma(e: Emitter, value: FmaValue): void {
  const [a, b] = memoryLast(e, value.a, value.b, true);
  const to = e.changed(value, value.c, [value.a, value.b]);
  e.m.changes('vfmadd231ps', to, a, b);
}

function emitByteDot(e: Emitter, value: ByteDotValue): void {
  const pairs = value.a.map((a, i) => [a, value.b[i]] as const);
  for (const [, b] of pairs) e.use(b);
  const sum = e.temporary(bitsOf(value));
  startSum(e, sum, value.start);
  e.isa.byteDot(e, sum, pairs);
  e.m.writes('vmovaps', e.target(value), sum);
}

/** Puts what a sum begins with into its register, from memory where it can stay there. */
function startSum(e: Emitter, sum: View, start: Value): void {
  if (start.kind === 'splat' && start.a.kind === 'const' && start.a.value === 0) {
    e.m.writes('vxorps', sum, sum, sum);
    return;
  }
  const from = e.operand(start);
  const isRepeated = from.kind === 'place' && from.broadcast;
  e.m.writes(isRepeated ? 'vbroadcastss' : 'vmovups', sum, unbroadcast(from));
}

function emitConvert(e: Emitter, value: ConvertValue): void {
  const { m, isa } = e;
  const from = value.a.dtype;
  const { dtype } = value;
  refuseDoubles(from);
  if (from === 'bool') {
    const condition = e.use(value.a);
    isa.bitsWhere(e, e.target(value), condition, dtype === 'f32' ? floatBits(1) : 1);
    return;
  }
  if (from === 'i32' && dtype === 'f32') {
    const a = e.operand(value.a);
    m.writes('vcvtdq2ps', e.target(value), a);
    return;
  }
  const a = e.view(value.a);
  if (dtype === 'bool') {
    if (from !== 'f32') isa.nonZero(e, e.target(value), a);
    else isa.compare(e, e.target(value), 'ne', 'f32', a, { ...e.constant(0), bits: a.bits });
    return;
  }
  if (dtype === 'f32') {
    isa.unsignedToFloat(e, e.target(value), a);
    return;
  }
  if (from === 'f32') isa.floatToInt(e, e.target(value), a, dtype === 'u32');
  else copyBits(e, value, value.a);
}

function emitSplat(e: Emitter, value: Value, a: Value): void {
  if (value.dtype === 'bool') {
    const single = e.use(a);
    e.isa.boolSplat(e, e.target(value), single);
    return;
  }
  if (a.kind === 'const') {
    const held = e.view(a);
    e.m.writes('vmovaps', e.target(value), { ...held, bits: bitsOf(value) });
    return;
  }
  const single = e.inMemory(a) ? unbroadcast(e.operand(a)) : e.view(a);
  e.m.writes('vbroadcastss', e.target(value), single);
}

/** One element in memory, as the instruction that repeats it takes it. */
function unbroadcast(operand: View | Place): View | Place {
  return operand.kind === 'place' ? { ...operand, broadcast: false } : operand;
}

/** Single values side by side, through the frame. */
function emitPack(e: Emitter, value: Value, items: readonly Value[]): void {
  const { m } = e;
  if (value.dtype === 'bool') {
    const registers = items.map((item) => e.use(item));
    e.isa.boolPack(e, e.target(value), registers);
    return;
  }
  const frame = m.frame(items.length * 4);
  items.forEach((item, lane) => {
    m.reads('vmovss', place('frame', frame + 4 * lane), vector(e.use(item), 128));
  });
  m.writes('vmovups', e.target(value), place('frame', frame));
}
