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
export { X64Assembler } from './x64/assembler.ts';
export type { Condition } from './x64/condition.ts';
export { CONDITIONS } from './x64/condition.ts';
export type { Mnemonic } from './x64/instructions.ts';
export { X64_INSTRUCTIONS } from './x64/instructions.ts';
export type { Label, Mem, MemOptions } from './x64/memory.ts';
export { at, mem } from './x64/memory.ts';
export type { Operand } from './x64/operand.ts';
export type { Gpr, MaskReg, Tile, Vec } from './x64/registers.ts';
export {
  k,
  r8,
  r16,
  r32,
  r64,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
  tmm,
  vec,
  xmm,
  ymm,
  zmm,
} from './x64/registers.ts';
