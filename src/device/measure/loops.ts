import { FunctionBuilder, ModuleBuilder } from '../../asm/index.ts';

/** Sums that run side by side: two instructions a cycle, each ready after four, need eight. */
const CHAINS = 12;
/** Rounds of all chains in one turn of the loop, so that counting costs next to nothing. */
const ROUNDS = 8;
/** Floating-point operations of one turn: a multiplication and an addition in each of 4 lanes. */
export const FLOPS_PER_TURN = CHAINS * ROUNDS * 4 * 2;

const VECTOR = 16;
/** Loads of one turn of the memory loops: two cache lines. */
const LOADS = 8;
/** Bytes of every array must be a multiple of this, and more than none. */
export const GRAIN = VECTOR * LOADS;

/** The measuring loops; addresses and sizes in bytes. */
export interface Loops {
  /** Multiply-adds in registers alone, FLOPS_PER_TURN for each turn. */
  readonly multiplyAdd: (turns: number) => number;
  /** Adds up all floats of an array. */
  readonly read: (from: number, bytes: number) => number;
  /** Copies an array. */
  readonly copy: (from: number, to: number, bytes: number) => void;
}

/** Makes the loops over a memory. */
export async function makeLoops(memory: WebAssembly.Memory, relaxedSimd: boolean): Promise<Loops> {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', { minPages: 0 });
  module.addFunction('multiplyAdd', multiplyAddLoop(relaxedSimd), { export: true });
  module.addFunction('read', readLoop(), { export: true });
  module.addFunction('copy', copyLoop(), { export: true });
  const { instance } = await WebAssembly.instantiate(module.bytes(), { env: { memory } });
  return instance.exports as unknown as Loops;
}

function multiplyAddLoop(relaxedSimd: boolean): FunctionBuilder {
  const code = new FunctionBuilder({ params: ['i32'], results: ['f32'] });
  const turns = 0;
  const [x, y] = [code.local('v128'), code.local('v128')];
  const sums = Array.from({ length: CHAINS }, () => code.local('v128'));
  code.emit('f32.const', 0.5).emit('f32x4.splat').emit('local.set', x);
  code.emit('f32.const', 0.25).emit('f32x4.splat').emit('local.set', y);
  // Different starts: equal chains could be computed once.
  sums.forEach((sum, i) => {
    code
      .emit('f32.const', i + 1)
      .emit('f32x4.splat')
      .emit('local.set', sum);
  });
  code.loop(() => {
    for (let round = 0; round < ROUNDS; round++) {
      for (const sum of sums) {
        // The product must depend on the chain, or it would be taken out of the loop.
        code.emit('local.get', sum).emit('local.get', x);
        if (relaxedSimd) code.emit('local.get', y).emit('f32x4.relaxed_madd');
        else code.emit('f32x4.mul').emit('local.get', y).emit('f32x4.add');
        code.emit('local.set', sum);
      }
    }
    code.emit('local.get', turns).emit('i32.const', 1).emit('i32.sub').emit('local.tee', turns);
    code.emit('br_if', 0);
  });
  return returnTotal(code, sums);
}

function readLoop(): FunctionBuilder {
  const code = new FunctionBuilder({ params: ['i32', 'i32'], results: ['f32'] });
  const [from, bytes] = [0, 1];
  const sums = Array.from({ length: LOADS }, () => code.local('v128'));
  eachGrain(code, from, bytes, [from], () => {
    sums.forEach((sum, i) => {
      code.emit('local.get', sum);
      code.emit('local.get', from).emit('v128.load', { offset: i * VECTOR });
      code.emit('f32x4.add').emit('local.set', sum);
    });
  });
  return returnTotal(code, sums);
}

function copyLoop(): FunctionBuilder {
  const code = new FunctionBuilder({ params: ['i32', 'i32', 'i32'], results: [] });
  const [from, to, bytes] = [0, 1, 2];
  eachGrain(code, from, bytes, [from, to], () => {
    for (let i = 0; i < LOADS; i++) {
      code.emit('local.get', to);
      code.emit('local.get', from).emit('v128.load', { offset: i * VECTOR });
      code.emit('v128.store', { offset: i * VECTOR });
    }
  });
  return code;
}

/** Repeats `body` and moves the pointers on, until `from` has gone through its bytes. */
function eachGrain(
  code: FunctionBuilder,
  from: number,
  bytes: number,
  pointers: readonly number[],
  body: () => void,
): void {
  const end = code.local('i32');
  code.emit('local.get', from).emit('local.get', bytes).emit('i32.add').emit('local.set', end);
  code.loop(() => {
    body();
    for (const pointer of pointers) {
      code.emit('local.get', pointer).emit('i32.const', GRAIN).emit('i32.add');
      code.emit('local.set', pointer);
    }
    code.emit('local.get', from).emit('local.get', end).emit('i32.lt_u').emit('br_if', 0);
  });
}

/** Every sum is part of the result, so none can be left out. */
function returnTotal(code: FunctionBuilder, sums: number[]): FunctionBuilder {
  sums.forEach((sum, i) => {
    code.emit('local.get', sum);
    if (i > 0) code.emit('f32x4.add');
  });
  return code.emit('f32x4.extract_lane', 0);
}
