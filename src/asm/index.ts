export { ByteWriter } from './wasm/encode.ts';
export type { WasmFeatures } from './wasm/features.ts';
export { wasmFeatures } from './wasm/features.ts';
export type { RecordedInstruction } from './wasm/function.ts';
export { FunctionBuilder } from './wasm/function.ts';
export type { FlatImmediates, ImmediatesOf, MemoryArgument } from './wasm/immediates.ts';
export type {
  GlobalOptions,
  ImportedFunction,
  ImportedMemory,
  ModuleExport,
  ModuleFunction,
  ModuleGlobal,
} from './wasm/module.ts';
export { ModuleBuilder } from './wasm/module.ts';
export type { Instruction } from './wasm/opcodes.ts';
export { INSTRUCTIONS, isInstruction } from './wasm/opcodes.ts';
export type { ImmediateKind, InstructionRow } from './wasm/row.ts';
export { functionText, moduleText } from './wasm/text.ts';
export type { BlockType, MemoryType, Signature, ValType } from './wasm/types.ts';
