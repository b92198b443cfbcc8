import { DTYPES } from '../../../ir/dtype.ts';
import { isSmallFloat, type SmallFloat } from '../../../ir/float-formats.ts';
import { add, atLane, hasLane, type Index } from '../../../ir/kernel/index-expr.ts';
import type { Buffer, LoadValue, Store, Value, WordsValue } from '../../../ir/kernel/types.ts';
import { bitsOf, constantBits, type Emitter } from './emitter.ts';
import { general, type Place, place, type View, type Virtual } from './machine.ts';
import { narrow, toHalves, widen } from './small-floats.ts';

/** A value as an operand in memory, where an instruction can read it as it lies. */
export function loadOperand(e: Emitter, value: Value): Place | undefined {
  if (value.kind === 'words') return e.address(value.buffer, value.index);
  let load: Value = value;
  while (load.kind === 'splat' || load.kind === 'bitcast') load = load.a;
  if (load.kind !== 'load' || load.mask.length > 0 || !isWord(load.buffer)) return undefined;
  if (value.lanes > 1 && load.lanes > 1 && load.step === 1) {
    return e.address(load.buffer, load.index);
  }
  // One element for all lanes: only AVX-512 repeats it. (A vector would read beyond it.)
  if (load.lanes > 1 || e.isa.bits !== 512) return undefined;
  return e.address(load.buffer, load.index, { broadcast: true });
}

function isWord(buffer: Buffer): boolean {
  return DTYPES[buffer.dtype].bytes === 4;
}

export function emitLoad(e: Emitter, load: LoadValue | WordsValue): void {
  if (load.kind === 'words') {
    e.m.writes('vmovups', e.target(load), e.address(load.buffer, load.index));
    return;
  }
  const to = e.target(load);
  const scalar = load.mask.filter((m) => !hasLane(m));
  if (scalar.length === 0) {
    loadLanes(e, to, load);
    return;
  }
  const inner = { ...load, mask: load.mask.filter((m) => hasLane(m)) };
  if (load.dtype !== 'bool') e.constant(constantBits(load.dtype, load.other));
  e.where(
    scalar,
    () => loadLanes(e, to, inner),
    () => {
      if (load.dtype === 'bool') e.isa.boolConstant(e, to, load.other !== 0);
      else {
        const other = e.constant(constantBits(load.dtype, load.other));
        e.m.writes('vmovaps', to, { ...other, bits: to.bits });
      }
    },
  );
}

/** Loads elements; what is left of the mask depends on the lane. */
function loadLanes(e: Emitter, to: View, load: LoadValue): void {
  const { buffer, lanes, mask, other } = load;
  const bits = bitsOf(load);
  if (mask.length === 0) {
    if (load.dtype !== 'bool') loadNumbers(e, to, load);
    else {
      const raw = e.temporary(bits);
      loadNumbers(e, raw, load);
      e.isa.nonZero(e, to, raw);
    }
    return;
  }
  const which = e.isa.laneMask(e, mask, lanes);
  const raw = e.temporary(bits);
  e.isa.loadMasked(e, raw, load, which);
  if (load.dtype === 'bool') {
    boolWhere(e, to, raw, which, other !== 0);
    return;
  }
  const wide = isSmallFloat(buffer.dtype) && buffer.dtype !== 'f16' ? e.temporary(bits) : raw;
  if (wide !== raw) widen(e, wide, buffer.dtype as SmallFloat, raw);
  if (constantBits(load.dtype, other) === 0) e.m.writes('vmovaps', to, wide);
  else e.isa.select(e, to, which, wide, { ...e.constant(constantBits(load.dtype, other)), bits });
}

/** Bools under a mask: what is not read is 0, which is false. */
function boolWhere(e: Emitter, to: View, raw: View, which: Virtual, other: boolean): void {
  if (!other) {
    e.isa.nonZero(e, to, raw);
    return;
  }
  const part = (): View => ({ ...to, register: e.m.virtual(e.isa.bools) });
  const [read, left] = [part(), part()];
  e.isa.nonZero(e, read, raw);
  e.isa.boolNot(e, left, { ...to, register: which });
  e.isa.boolBinary(e, to, 'or', read, left);
}

/** Elements without a mask as registers hold them (bools as bytes). */
function loadNumbers(e: Emitter, to: View, load: LoadValue): void {
  const { buffer, index, step, lanes } = load;
  const { dtype } = buffer;
  const { m } = e;
  if (lanes > 1 && step !== 0 && step !== 1) {
    if (isWord(buffer)) e.isa.gather(e, to, buffer, index, step, undefined);
    else loadOneByOne(e, to, load);
    return;
  }
  const from = e.address(buffer, index);
  if (isWord(buffer)) {
    if (lanes === 1) m.writes('vmovss', to, from);
    else m.writes(step === 0 ? 'vbroadcastss' : 'vmovups', to, from);
    return;
  }
  if (lanes === 1 || step === 0) {
    const raw = loadNarrow(e, buffer, index);
    const single = e.temporary(128);
    widenOne(e, single, buffer, raw);
    m.writes(lanes === 1 ? 'vmovaps' : 'vbroadcastss', to, single);
    return;
  }
  if (dtype === 'f16') {
    m.writes('vcvtph2ps', to, from);
    return;
  }
  const raw = isSmallFloat(dtype) ? e.temporary(to.bits) : to;
  m.writes(extension(buffer), raw, from);
  if (raw !== to) widen(e, to, dtype as SmallFloat, raw);
}

/** The instruction that loads narrow elements into lanes of 32 bits. */
export function extension({ dtype }: Buffer): 'vpmovzxwd' | 'vpmovsxbd' | 'vpmovzxbd' {
  if (DTYPES[dtype].bytes === 2) return 'vpmovzxwd';
  return dtype === 'i8' ? 'vpmovsxbd' : 'vpmovzxbd';
}

/** The bits of one narrow element in a general register. */
export function loadNarrow(e: Emitter, buffer: Buffer, index: Index): View {
  const { bytes } = DTYPES[buffer.dtype];
  const raw = general(e.m.virtual('general'), 32);
  const from = e.address(buffer, index, { bits: bytes === 2 ? 16 : 8 });
  e.m.writes(buffer.dtype === 'i8' ? 'movsx' : 'movzx', raw, from);
  return raw;
}

function widenOne(e: Emitter, to: View, { dtype }: Buffer, raw: View): void {
  const word = isSmallFloat(dtype) ? e.temporary(128) : to;
  e.m.writes('vmovd', word, raw);
  if (isSmallFloat(dtype)) widen(e, to, dtype, word);
}

/** Narrow elements that lie apart, through the frame. */
function loadOneByOne(e: Emitter, to: View, load: LoadValue): void {
  const { buffer, index, step, lanes } = load;
  const frame = e.m.frame(lanes * 4);
  for (let lane = 0; lane < lanes; lane++) {
    const raw = loadNarrow(e, buffer, add(index, step * lane));
    e.m.reads('mov', place('frame', frame + 4 * lane), raw);
  }
  const raw = isSmallFloat(buffer.dtype) ? e.temporary(to.bits) : to;
  e.m.writes('vmovups', raw, place('frame', frame));
  if (isSmallFloat(buffer.dtype)) widen(e, to, buffer.dtype, raw);
}

/** Elements under a mask, one by one through the frame: those that are not read are 0. */
export function loadWhere(e: Emitter, to: View, load: LoadValue): void {
  const { buffer, index, step, lanes, mask } = load;
  const { m } = e;
  const frame = m.frame(lanes * 4);
  const zero = e.constant(0);
  m.reads('vmovups', place('frame', frame), { ...zero, bits: to.bits });
  for (let lane = 0; lane < lanes; lane++) {
    e.where(
      mask.map((condition) => atLane(condition, lane)),
      () => {
        const at = add(index, step * lane);
        const raw = isWord(buffer) ? general(m.virtual('general'), 32) : loadNarrow(e, buffer, at);
        if (isWord(buffer)) m.writes('mov', raw, e.address(buffer, at));
        m.reads('mov', place('frame', frame + 4 * lane), raw);
      },
    );
  }
  m.writes('vmovups', to, place('frame', frame));
  if (buffer.dtype === 'f16') widen(e, to, 'f16', to);
}

/** Narrow elements under a mask, one by one through the frame. */
export function storeWhere(e: Emitter, store: Store, lanes: View): void {
  const { buffer, index, mask, value } = store;
  const { m } = e;
  const { bytes } = DTYPES[buffer.dtype];
  const frame = m.frame(lanes.bits / 8);
  m.reads('vmovups', place('frame', frame), lanes);
  for (let lane = 0; lane < value.lanes; lane++) {
    e.where(
      mask.map((condition) => atLane(condition, lane)),
      () => {
        const word = m.virtual('general');
        m.writes('mov', general(word, 32), place('frame', frame + 4 * lane));
        m.reads(
          'mov',
          e.address(buffer, add(index, lane)),
          general(word, bytes === 1 ? 8 : bytes === 2 ? 16 : 32),
        );
      },
    );
  }
}

/** Stores elements; what is left of the mask depends on the lane. */
export function emitStore(e: Emitter, store: Store): void {
  const { buffer, value, index, mask } = store;
  const { m } = e;
  const { dtype } = buffer;
  if (mask.length > 0) {
    const which = e.isa.laneMask(e, mask, value.lanes);
    e.isa.storeMasked(e, store, dtype === 'f16' ? e.view(value) : elementBits(e, store), which);
    return;
  }
  if (isWord(buffer)) {
    const name = value.lanes === 1 ? 'vmovss' : isStreamed(e, store) ? 'vmovntps' : 'vmovups';
    m.reads(name, e.address(buffer, index), e.view(value));
    return;
  }
  const bytes = DTYPES[dtype].bytes === 1 ? 1 : 2;
  if (value.lanes === 1) {
    const raw = dtype === 'f16' ? toHalves(e, e.view(value)) : elementBits(e, store);
    const word = m.virtual('general');
    m.writes('vmovd', general(word, 32), raw);
    m.reads('mov', e.address(buffer, index), general(word, bytes === 1 ? 8 : 16));
    return;
  }
  const packed =
    dtype === 'f16' ? toHalves(e, e.view(value)) : e.isa.packed(e, elementBits(e, store), bytes);
  e.isa.storePacked(e, packed, value.lanes, bytes, e.address(buffer, index));
}

/**
 * Whether a vector may go past the caches: it fills a whole line, so that the processor need not read
 * what it will write over. Buffers begin at multiples of a line.
 */
function isStreamed(e: Emitter, { streams, index, value }: Store): boolean {
  const whole = (x: number) => x % value.lanes === 0;
  const isLine = value.lanes * 32 === e.isa.bits && whole(index.constant);
  return streams === true && isLine && index.terms.every((t) => whole(t.coefficient));
}

/** What memory will hold of each lane, in its low bits. */
function elementBits(e: Emitter, { buffer, value }: Store): View {
  if (buffer.dtype === 'bool') {
    const raw = e.temporary(bitsOf(value));
    e.isa.bitsWhere(e, raw, e.use(value), 1);
    return raw;
  }
  return isSmallFloat(buffer.dtype) ? narrow(e, buffer.dtype, e.view(value)) : e.view(value);
}
