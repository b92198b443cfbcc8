import { ByteWriter } from './encode.ts';
import type { FunctionBuilder } from './function.ts';
import type { FlatImmediates } from './immediates.ts';
import { checkInteger, flattenImmediates, writeImmediates } from './immediates.ts';
import { INSTRUCTIONS } from './opcodes.ts';
import type { MemoryType, Signature, ValType } from './types.ts';
import { checkValType, signatureKey, VAL_TYPE_CODE } from './types.ts';

/** A memory that the embedder provides. */
export interface ImportedMemory {
  readonly module: string;
  readonly name: string;
  readonly type: MemoryType;
}

/** A function that the embedder provides. */
export interface ImportedFunction {
  readonly module: string;
  readonly name: string;
  readonly signature: Signature;
}

/** A function of the module itself. */
export interface ModuleFunction {
  readonly name: string;
  readonly builder: FunctionBuilder;
  readonly exported: boolean;
}

/** How a global is declared beyond its type and first value. */
export interface GlobalOptions {
  /** Whether `global.set` may change it; false by default. */
  readonly mutable?: boolean;
  /** The name to export it under; not exported by default. */
  readonly export?: string;
}

/** A global of the module itself. */
export interface ModuleGlobal {
  readonly type: ValType;
  readonly mutable: boolean;
  readonly values: FlatImmediates;
}

/** Something reachable from outside. */
export interface ModuleExport {
  readonly name: string;
  readonly kind: 'func' | 'global';
  readonly index: number;
}

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION = { custom: 0, type: 1, import: 2, function: 3, global: 6, export: 7, code: 10 };
const EXTERNAL_KIND = { func: 0x00, memory: 0x02, global: 0x03 };
const FUNCTION_TYPE = 0x60;
const FUNCTION_NAMES = 1;
const MAX_PAGES = 65536;
const LIMIT_HAS_MAX = 1;
const LIMIT_SHARED = 2;
const LIMIT_ADDRESS64 = 4;

/**
 * Puts functions, imports and globals together into one binary module (§5.5). Indices are final as
 * soon as they are returned, which is why imported functions have to come first.
 */
export class ModuleBuilder {
  #memory: ImportedMemory | undefined;
  readonly #imports: ImportedFunction[] = [];
  readonly #functions: ModuleFunction[] = [];
  readonly #globals: ModuleGlobal[] = [];
  readonly #exports: ModuleExport[] = [];

  /** The imported memory, if any. */
  get memory(): ImportedMemory | undefined {
    return this.#memory;
  }

  /** Imported functions; their indices start at 0. */
  get imports(): readonly ImportedFunction[] {
    return this.#imports;
  }

  /** The module's own functions; their indices follow the imported ones. */
  get functions(): readonly ModuleFunction[] {
    return this.#functions;
  }

  /** Globals by index. */
  get globals(): readonly ModuleGlobal[] {
    return this.#globals;
  }

  /** Exports in the order they were declared. */
  get exports(): readonly ModuleExport[] {
    return this.#exports;
  }

  /**
   * Imports the module's only memory (§5.5.5).
   * @throws Error where there is one already, limits are out of range, or a shared one has no
   *   maximum.
   */
  importMemory(module: string, name: string, type: MemoryType): void {
    const what = `memory ${module}.${name}`;
    if (this.#memory !== undefined) {
      const { module: otherModule, name: otherName } = this.#memory;
      throw new Error(`${what}: memory ${otherModule}.${otherName} exists, expected only one`);
    }
    // Limits of 64-bit memories may be far higher, but no engine grants so many pages.
    checkInteger(what, 'minPages', type.minPages, 0, MAX_PAGES);
    if (type.maxPages !== undefined) {
      checkInteger(what, 'maxPages', type.maxPages, type.minPages, MAX_PAGES);
    } else if (type.shared === true) {
      throw new Error(`${what}: maxPages is undefined, expected a limit since it is shared`);
    }
    this.#memory = { module, name, type: { ...type } };
  }

  /**
   * Imports a function and returns its index (§5.5.5).
   * @throws Error where a function was added before, since its index would change.
   */
  importFunction(module: string, name: string, signature: Signature): number {
    if (this.#functions.length > 0) {
      const count = this.#functions.length;
      throw new Error(`import ${module}.${name}: ${count} functions exist, expected 0 before it`);
    }
    for (const type of [...signature.params, ...signature.results]) {
      checkValType(`import ${module}.${name}: value type`, type);
    }
    const { params, results } = signature;
    const copy = { params: [...params], results: [...results] };
    return this.#imports.push({ module, name, signature: copy }) - 1;
  }

  /**
   * Adds a function and returns its index. The builder may still grow until `bytes`, so functions
   * may call each other both ways. The name is kept for stack traces and, if asked, exported.
   * @throws Error where the name is exported already.
   */
  addFunction(
    name: string,
    builder: FunctionBuilder,
    options: { readonly export?: boolean } = {},
  ): number {
    const index = this.#imports.length + this.#functions.length;
    const exported = options.export ?? false;
    if (exported) this.#addExport(name, 'func', index);
    this.#functions.push({ name, builder, exported });
    return index;
  }

  /**
   * Adds a global with a constant first value and returns its index (§5.5.9). The value is what
   * the constant instruction of its type takes: a number, a bigint for i64, 16 bytes for v128.
   * @throws Error where the type or the value is wrong, or the name is exported already.
   */
  addGlobal(
    type: ValType,
    value: number | bigint | ArrayLike<number>,
    options: GlobalOptions = {},
  ): number {
    checkValType('global type', type);
    const name = `${type}.const` as const;
    const values = flattenImmediates(`global ${name}`, INSTRUCTIONS[name], [value]);
    const index = this.#globals.length;
    if (options.export !== undefined) this.#addExport(options.export, 'global', index);
    this.#globals.push({ type, mutable: options.mutable ?? false, values });
    return index;
  }

  /**
   * The module in the binary format, with a name section for its functions (§5.5.16, §7.4.1).
   * @throws Error where a function has an open block.
   */
  bytes(): Uint8Array<ArrayBuffer> {
    const types = new TypeTable();
    const importTypes = this.#imports.map(({ signature }) => types.index(signature));
    const functionTypes = this.#functions.map(({ builder }) => types.index(builder.signature));
    const out = new ByteWriter();
    out.bytes(MAGIC_AND_VERSION);
    vectorSection(out, SECTION.type, types.signatures, writeSignature);
    this.#writeImports(out, importTypes);
    vectorSection(out, SECTION.function, functionTypes, (writer, type) => {
      writer.unsigned32(type);
    });
    vectorSection(out, SECTION.global, this.#globals, writeGlobal);
    vectorSection(out, SECTION.export, this.#exports, (writer, { name, kind, index }) => {
      writer.name(name);
      writer.byte(EXTERNAL_KIND[kind]);
      writer.unsigned32(index);
    });
    vectorSection(out, SECTION.code, this.#functions, (writer, { builder }) => {
      writer.sized(builder.body());
    });
    this.#writeNames(out);
    return out.take();
  }

  #addExport(name: string, kind: ModuleExport['kind'], index: number): void {
    if (this.#exports.some((other) => other.name === name)) {
      throw new Error(`export is ${name}, expected a name that is not exported yet`);
    }
    this.#exports.push({ name, kind, index });
  }

  #writeImports(out: ByteWriter, types: readonly number[]): void {
    const memories = this.#memory === undefined ? [] : [this.#memory];
    const all = [...memories, ...this.#imports];
    vectorSection(out, SECTION.import, all, (writer, item, index) => {
      writer.name(item.module);
      writer.name(item.name);
      if ('type' in item) {
        writeMemoryType(writer, item.type);
      } else {
        writer.byte(EXTERNAL_KIND.func);
        writer.unsigned32(types[index - memories.length] as number);
      }
    });
  }

  /** Function names only: they are what stack traces and profilers show. */
  #writeNames(out: ByteWriter): void {
    const names = [
      ...this.#imports.map(({ module, name }) => `${module}.${name}`),
      ...this.#functions.map(({ name }) => name),
    ];
    if (names.length === 0) return;
    const map = new ByteWriter();
    map.unsigned32(names.length);
    for (const [index, name] of names.entries()) {
      map.unsigned32(index);
      map.name(name);
    }
    const section = new ByteWriter();
    section.name('name');
    section.byte(FUNCTION_NAMES);
    section.sized(map.take());
    out.byte(SECTION.custom);
    out.sized(section.take());
  }
}

/** Function types, each kept once (§5.5.4). */
class TypeTable {
  readonly signatures: Signature[] = [];
  readonly #indices = new Map<string, number>();

  index(signature: Signature): number {
    const key = signatureKey(signature);
    let index = this.#indices.get(key);
    if (index === undefined) {
      index = this.signatures.push(signature) - 1;
      this.#indices.set(key, index);
    }
    return index;
  }
}

/** Writes a section that is a list of items (§5.5.2); an empty one is left out. */
function vectorSection<T>(
  out: ByteWriter,
  id: number,
  items: readonly T[],
  write: (writer: ByteWriter, item: T, index: number) => void,
): void {
  if (items.length === 0) return;
  const section = new ByteWriter();
  section.unsigned32(items.length);
  for (const [index, item] of items.entries()) write(section, item, index);
  out.byte(id);
  out.sized(section.take());
}

function writeSignature(writer: ByteWriter, { params, results }: Signature): void {
  writer.byte(FUNCTION_TYPE);
  for (const types of [params, results]) writer.sized(types.map((type) => VAL_TYPE_CODE[type]));
}

function writeMemoryType(writer: ByteWriter, type: MemoryType): void {
  const { minPages, maxPages, shared = false, address64 = false } = type;
  writer.byte(EXTERNAL_KIND.memory);
  writer.byte(
    (maxPages === undefined ? 0 : LIMIT_HAS_MAX) |
      (shared ? LIMIT_SHARED : 0) |
      (address64 ? LIMIT_ADDRESS64 : 0),
  );
  writer.unsigned32(minPages);
  if (maxPages !== undefined) writer.unsigned32(maxPages);
}

function writeGlobal(writer: ByteWriter, { type, mutable, values }: ModuleGlobal): void {
  const row = INSTRUCTIONS[`${type}.const`];
  writer.byte(VAL_TYPE_CODE[type]);
  writer.byte(mutable ? 1 : 0);
  writer.bytes(row.code);
  writeImmediates(writer, row, values);
  writer.bytes(INSTRUCTIONS.end.code);
}
