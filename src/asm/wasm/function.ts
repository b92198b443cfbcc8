import { ByteWriter } from './encode.ts';
import type { FlatImmediates, ImmediatesOf } from './immediates.ts';
import { checkInteger, flattenImmediates, immediateError, writeImmediates } from './immediates.ts';
import type { Instruction } from './opcodes.ts';
import { INSTRUCTIONS } from './opcodes.ts';
import type { InstructionRow } from './row.ts';
import type { BlockType, Signature, ValType } from './types.ts';
import { checkValType, VAL_TYPE_CODE } from './types.ts';

/** An instruction as recorded: its name, its row of the table and its checked immediates. */
export interface RecordedInstruction {
  readonly name: Instruction;
  readonly row: InstructionRow;
  readonly values: FlatImmediates;
}

/** The table again, as a map: looking up several hundred names is what `emit` does most. */
const ROWS = new Map<string, InstructionRow>(Object.entries(INSTRUCTIONS));

type OpenBlock = 'block' | 'loop' | 'if' | 'else';

/**
 * Records the instructions of one function. Immediates are checked as they come; operand types are
 * not, that is the engine's validation. Encoding happens in `body`.
 */
export class FunctionBuilder {
  readonly signature: Signature;
  readonly #localTypes: ValType[];
  readonly #instructions: RecordedInstruction[] = [];
  readonly #open: OpenBlock[] = [];

  /** @throws Error where a parameter or result is no value type. */
  constructor(signature: Signature) {
    const { params, results } = signature;
    for (const [index, type] of params.entries()) checkValType(`parameter ${index}`, type);
    for (const [index, type] of results.entries()) checkValType(`result ${index}`, type);
    this.signature = { params: [...params], results: [...results] };
    this.#localTypes = [...params];
  }

  /** The types of the parameters, which come first, and of the locals, by index. */
  get localTypes(): readonly ValType[] {
    return this.#localTypes;
  }

  /** What was recorded, without the `end` that closes the function. */
  get instructions(): readonly RecordedInstruction[] {
    return this.#instructions;
  }

  /** The number of blocks open here; as a branch depth it means the function itself. */
  get depth(): number {
    return this.#open.length;
  }

  /**
   * Declares a local, zero at first, and returns its index. Declaring equal types in a row keeps
   * the code small, since runs are stored as one.
   * @throws Error where the type is no value type.
   */
  local(type: ValType): number {
    checkValType('local type', type);
    return this.#localTypes.push(type) - 1;
  }

  /**
   * Records one instruction. Float constants are rounded to their type and a NaN loses its
   * payload; use an integer constant and a reinterpretation to keep one.
   * @throws Error naming instruction, argument, value and what was expected: an unknown name, an
   *   immediate out of range, an undeclared local, a depth beyond the function, an `end` or `else`
   *   without its block.
   */
  emit<N extends Instruction>(name: N, ...immediates: ImmediatesOf<N>): this {
    const row = ROWS.get(name);
    if (row === undefined) {
      throw new Error(`instruction is ${String(name)}, expected a name of the instruction table`);
    }
    const values = flattenImmediates(name, row, immediates);
    this.#follow(name, row, values);
    this.#instructions.push({ name, row, values });
    return this;
  }

  /** Records a block around what `body` emits; its label is the end of the block. */
  block(body: () => void, type?: BlockType): this {
    this.emit('block', type);
    return this.#inside(body);
  }

  /** Records a loop around what `body` emits; its label is the start of the loop. */
  loop(body: () => void, type?: BlockType): this {
    this.emit('loop', type);
    return this.#inside(body);
  }

  /** Records a choice on the i32 on the stack; with a result type both ways are needed. */
  if(then: () => void, otherwise?: () => void, type?: BlockType): this {
    this.emit('if', type);
    if (otherwise === undefined) return this.#inside(then);
    const depth = this.depth;
    then();
    this.#checkDepth(depth);
    this.emit('else');
    return this.#inside(otherwise);
  }

  /**
   * The function as an entry of the code section, without its size (§5.5.13).
   * @throws Error where a block is still open.
   */
  body(): Uint8Array<ArrayBuffer> {
    if (this.#open.length > 0) {
      throw new Error(`function has ${this.#open.length} open blocks, expected 0: end is missing`);
    }
    const writer = new ByteWriter();
    this.#writeLocals(writer);
    for (const { row, values } of this.#instructions) {
      const { code, tail } = row;
      for (let index = 0; index < code.length; index++) writer.byte(code[index] as number);
      writeImmediates(writer, row, values);
      for (let index = 0; index < tail.length; index++) writer.byte(tail[index] as number);
    }
    writer.bytes(INSTRUCTIONS.end.code);
    return writer.take();
  }

  #inside(body: () => void): this {
    const depth = this.depth;
    body();
    this.#checkDepth(depth);
    return this.emit('end');
  }

  #checkDepth(expected: number): void {
    if (this.depth === expected) return;
    throw new Error(`body ends at depth ${this.depth}, expected ${expected}: blocks do not match`);
  }

  /** Keeps track of open blocks and checks what depends on the function around. */
  #follow(name: Instruction, row: InstructionRow, values: FlatImmediates): void {
    if (row.immediate === 'local') {
      checkInteger(name, 'local index', values[0], 0, this.#localTypes.length - 1);
    } else if (row.immediate === 'label' || row.immediate === 'labels') {
      for (const depth of values) checkInteger(name, 'depth', depth, 0, this.#open.length);
    } else if (name === 'block' || name === 'loop' || name === 'if') {
      this.#open.push(name);
    } else if (name === 'else') {
      const innermost = this.#open.pop();
      if (innermost !== 'if') throw immediateError(name, 'innermost block', innermost, 'if');
      this.#open.push('else');
    } else if (name === 'end' && this.#open.pop() === undefined) {
      throw immediateError(name, 'number of open blocks', 0, 'at least 1');
    }
  }

  #writeLocals(writer: ByteWriter): void {
    const runs: { type: ValType; count: number }[] = [];
    for (const type of this.#localTypes.slice(this.signature.params.length)) {
      const last = runs.at(-1);
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    writer.unsigned32(runs.length);
    for (const { type, count } of runs) {
      writer.unsigned32(count);
      writer.byte(VAL_TYPE_CODE[type]);
    }
  }
}
