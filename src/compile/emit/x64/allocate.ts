import {
  eachVirtual,
  isView,
  type MachineCode,
  type RegisterClass,
  type Virtual,
} from './machine.ts';

/** From the first mention of a virtual register to its last; loops around are counted in. */
interface Interval {
  readonly register: Virtual;
  start: number;
  end: number;
  /** Mentions, those in loops counted as often as such loops run. */
  weight: number;
}

/** How many registers of a class there are to give. */
export type RegisterCounts = Readonly<Record<RegisterClass, number>>;

/** For each virtual register its number among those of its class, or that it has none. */
export interface Allocation {
  readonly numbers: ReadonlyMap<Virtual, number>;
  readonly spilled: ReadonlySet<Virtual>;
}

/** A turn of a loop weighs so much more than what stands outside. */
const LOOP_WEIGHT = 8;

interface OpenLoop {
  readonly start: number;
  readonly mentioned: Interval[];
}

function findIntervals(code: readonly MachineCode[], count: number): Interval[] {
  const intervals = new Array<Interval | undefined>(count);
  const found: Interval[] = [];
  const loops: OpenLoop[] = [];
  let position = 0;
  let weight = 1;
  const mention = (register: Virtual) => {
    let interval = intervals[register.id];
    if (!interval) {
      interval = { register, start: position, end: position, weight: 0 };
      intervals[register.id] = interval;
      found.push(interval);
    }
    interval.end = position;
    interval.weight += weight;
    for (const loop of loops) if (interval.start < loop.start) loop.mentioned.push(interval);
  };
  for (const item of code) {
    position++;
    if (item.kind === 'loopStart') {
      loops.push({ start: position, mentioned: [] });
      weight *= LOOP_WEIGHT;
    } else if (item.kind === 'loopEnd') {
      const loop = loops.pop();
      weight /= LOOP_WEIGHT;
      // What comes from outside must outlast every turn.
      for (const interval of loop?.mentioned ?? []) interval.end = position;
    } else if (item.kind === 'instruction') {
      for (const operand of item.operands) eachVirtual(operand, mention);
      if (item.mask) mention(item.mask);
    }
  }
  return found;
}

/**
 * Linear scan (Poletto and Sarkar 1999): intervals in the order of their starts take free registers;
 * where there is none, the one that is mentioned least for its length goes to memory.
 *
 * Two intervals may share a register where one ends at the instruction that begins the other, if that
 * instruction only writes its first operand: sources are read before.
 */
function scan(intervals: readonly Interval[], counts: RegisterCounts, spilled: Set<Virtual>) {
  const numbers = new Map<Virtual, number>();
  const active: Record<RegisterClass, Interval[]> = { general: [], vector: [], mask: [] };
  const free: Record<RegisterClass, number[]> = {
    general: numbersDown(counts.general),
    vector: numbersDown(counts.vector),
    mask: numbersDown(counts.mask),
  };
  const density = ({ weight, start, end }: Interval) => weight / (end - start + 1);
  for (const interval of intervals) {
    const { register } = interval;
    if (spilled.has(register)) continue;
    const cls = register.class;
    active[cls] = active[cls].filter((other) => {
      if (other.end > interval.start) return true;
      free[cls].push(numbers.get(other.register) as number);
      return false;
    });
    const number = free[cls].pop();
    if (number !== undefined) {
      numbers.set(register, number);
      active[cls].push(interval);
      continue;
    }
    let least = interval;
    for (const other of active[cls]) if (density(other) < density(least)) least = other;
    spilled.add(least.register);
    if (least === interval) continue;
    numbers.set(register, numbers.get(least.register) as number);
    numbers.delete(least.register);
    active[cls][active[cls].indexOf(least)] = interval;
  }
  return numbers;
}

/** The lowest number is taken first. */
function numbersDown(count: number): number[] {
  return Array.from({ length: count }, (_, i) => count - 1 - i);
}

/**
 * Gives registers to a kernel's code.
 *
 * @param counts registers of each class
 * @param scratch those to keep back where something of the class goes to memory
 */
export function allocate(
  code: readonly MachineCode[],
  virtuals: number,
  counts: RegisterCounts,
  scratch: RegisterCounts,
): Allocation {
  const intervals = findIntervals(code, virtuals);
  keepWritersApart(code, intervals, virtuals);
  intervals.sort((a, b) => a.start - b.start);
  let given = counts;
  for (;;) {
    const spilled = new Set<Virtual>();
    const numbers = scan(intervals, given, spilled);
    const short = (Object.keys(counts) as RegisterClass[]).filter(
      (cls) =>
        given[cls] === counts[cls] && [...spilled].some((register) => register.class === cls),
    );
    if (short.length === 0) return { numbers, spilled };
    given = { ...given };
    for (const cls of short) given = { ...given, [cls]: counts[cls] - scratch[cls] };
  }
}

/**
 * A register that is written while others of the same instruction are still to be read, or that is
 * written and never read, must not share theirs.
 */
function keepWritersApart(
  code: readonly MachineCode[],
  intervals: readonly Interval[],
  virtuals: number,
): void {
  const byId = new Array<Interval | undefined>(virtuals);
  for (const interval of intervals) byId[interval.register.id] = interval;
  let position = 0;
  for (const item of code) {
    position++;
    if (item.kind !== 'instruction' || item.operands.length === 0) continue;
    const [first, ...rest] = item.operands;
    if (isView(first) && item.effect === 'writes') {
      // What is written is taken for the time after the instruction.
      const own = byId[first.register.id];
      if (own && own.end === position) own.end = position + 1;
      if (!item.mask && !isSlow(item.name)) continue;
    }
    // All that it reads is needed until it is done.
    const outlast = (register: Virtual) => {
      const interval = byId[register.id];
      if (interval && interval.end === position) interval.end = position + 1;
    };
    for (const operand of rest) eachVirtual(operand, outlast);
    if (!isView(first) || item.effect !== 'writes') eachVirtual(first, outlast);
    if (item.mask) outlast(item.mask);
  }
}

/** Instructions that may not write over what they read. */
function isSlow(name: string): boolean {
  return name.startsWith('vgather') || name.startsWith('vpgather');
}
