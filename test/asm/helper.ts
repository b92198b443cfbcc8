import type {
  Instruction,
  InstructionRow,
  MemoryType,
  Signature,
  ValType,
} from '../../src/asm/index.ts';
import { FunctionBuilder, INSTRUCTIONS, ModuleBuilder } from '../../src/asm/index.ts';

export type Scalar = number | bigint;
export type Callable = (...values: Scalar[]) => Scalar;

/** A memory of one page, shared so that atomics may use it too. */
export const MEMORY: MemoryType = { minPages: 1, maxPages: 1, shared: true };
export const NAMES = Object.keys(INSTRUCTIONS) as Instruction[];

export const rowOf = (name: Instruction): InstructionRow => INSTRUCTIONS[name];

/** `emit` for names only known at run time; the types would ask for a name known before. */
export function emitAny(code: FunctionBuilder, name: string, ...immediates: unknown[]): void {
  const emit = code.emit as (name: string, ...immediates: unknown[]) => FunctionBuilder;
  emit.call(code, name, ...immediates);
}

export function push(code: FunctionBuilder, type: ValType): void {
  if (type === 'v128') code.emit('v128.const', new Uint8Array(16));
  else if (type === 'i64') code.emit('i64.const', 0n);
  else code.emit(`${type}.const`, 0);
}

/** Immediates that are right for an instruction inside of one block and with one local. */
export function sampleImmediates(row: InstructionRow): unknown[] {
  switch (row.immediate) {
    case 'none':
    case 'block':
      return [];
    case 'labels':
      return [[0, 1, 0], 1];
    case 'memory':
      return [{ offset: 8 * 130 }];
    case 'memoryLane':
      return [{ offset: 3, align: 1 }, row.lanes - 1];
    case 'lane':
      return [row.lanes - 1];
    case 'shuffle':
      return Array.of(Array.from({ length: 16 }, (_, index) => 31 - index));
    case 'v128':
      return Array.of(Array.from({ length: 16 }, (_, index) => index * 17));
    case 'i64':
      return [-(2n ** 40n)];
    case 'f32':
    case 'f64':
      return [-1.5];
    case 'i32':
      return [-200];
    default:
      return [0];
  }
}

/** Instructions whose operands depend on the context, each in such a context. */
const IN_CONTEXT: Partial<Record<Instruction, (code: FunctionBuilder) => void>> = {
  unreachable: (code) => code.emit('unreachable'),
  block: (code) => code.block(() => code.emit('i32.const', 1), 'i32').emit('drop'),
  loop: (code) => code.loop(() => code.emit('nop')),
  if: (code) => code.emit('i32.const', 1).if(() => code.emit('nop')),
  else: (code) =>
    code
      .emit('i32.const', 1)
      .if(
        () => code.emit('f32.const', 1),
        () => code.emit('f32.const', 2),
        'f32',
      )
      .emit('drop'),
  end: (code) => code.block(() => {}),
  br: (code) => code.block(() => code.emit('br', 0)),
  br_if: (code) => code.block(() => code.emit('i32.const', 1).emit('br_if', 1)),
  br_table: (code) => code.block(() => code.emit('i32.const', 1).emit('br_table', [0, 1, 0], 1)),
  return: (code) => code.emit('return'),
  call: (code) => code.emit('call', 0),
  drop: (code) => code.emit('i32.const', 1).emit('drop'),
  select: (code) => {
    for (const type of ['v128', 'v128', 'i32'] as const) push(code, type);
    code.emit('select').emit('drop');
  },
  'local.get': (code) => code.emit('local.get', 0).emit('drop'),
  'local.set': (code) => code.emit('f64.const', 1).emit('local.set', 0),
  'local.tee': (code) => code.emit('f64.const', 1).emit('local.tee', 0).emit('drop'),
  'global.get': (code) => code.emit('global.get', 0).emit('drop'),
  'global.set': (code) => code.emit('i32.const', 1).emit('global.set', 0),
};

/** Whether the table fixes all operand and result types of an instruction. */
export function isFixed(name: Instruction): boolean {
  return IN_CONTEXT[name] === undefined;
}

/** A module around what `write` emits, with a memory, a global, and function 0 to call. */
export function moduleAround(
  signature: Signature,
  write: (code: FunctionBuilder) => void,
): ModuleBuilder {
  const module = new ModuleBuilder();
  module.importMemory('env', 'memory', MEMORY);
  module.importFunction('env', 'callee', { params: [], results: [] });
  module.addGlobal('i32', 0, { mutable: true });
  const code = new FunctionBuilder(signature);
  write(code);
  module.addFunction('run', code, { export: true });
  return module;
}

/** A module whose function uses one instruction, with operands of the given types. */
export function tinyModule(
  name: Instruction,
  params: readonly ValType[] = rowOf(name).params ?? [],
  results: readonly ValType[] = rowOf(name).results ?? [],
): ModuleBuilder {
  const context = IN_CONTEXT[name];
  if (context !== undefined) {
    return moduleAround({ params: [], results: [] }, (code) => {
      code.local('f64');
      context(code);
    });
  }
  return moduleAround({ params: [], results }, (code) => {
    for (const type of params) push(code, type);
    emitAny(code, name, ...sampleImmediates(rowOf(name)));
  });
}

export interface Running {
  readonly run: Callable;
  readonly memory: DataView;
}

/** Compiles a module of `moduleAround` and gives its function and its memory. */
export function start(module: ModuleBuilder): Running {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const compiled = new WebAssembly.Module(module.bytes());
  const instance = new WebAssembly.Instance(compiled, { env: { memory, callee: () => {} } });
  return { run: instance.exports['run'] as Callable, memory: new DataView(memory.buffer) };
}

/** A function that passes its parameters to one scalar instruction. */
export function scalarFunction(name: Instruction): Callable {
  const { params, results } = rowOf(name);
  const signature = { params: params ?? [], results: results ?? [] };
  return start(
    moduleAround(signature, (code) => {
      for (const index of signature.params.keys()) code.emit('local.get', index);
      emitAny(code, name);
    }),
  ).run;
}
