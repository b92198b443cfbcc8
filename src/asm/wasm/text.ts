import type { FunctionBuilder, RecordedInstruction } from './function.ts';
import type { FlatImmediates } from './immediates.ts';
import type { ModuleBuilder } from './module.ts';
import type { InstructionRow } from './row.ts';
import type { MemoryType, Signature, ValType } from './types.ts';
import { valTypeOfCode } from './types.ts';

const INDENT = '  ';
/** What an identifier may not contain (§6.3.5). */
const NOT_IDENTIFIER = /[^0-9A-Za-z!#$%&'*+\-./:<=>?@\\^_`|~]/gu;
const CONTROL_OR_QUOTE = /[\p{Cc}"\\]/gu;

/** How a called function is written: by index, or by identifier where one is known. */
type CallName = (index: number) => string;

/**
 * One function as WebAssembly text (§6.6.5): locals declared, one instruction a line, indented by
 * block. Calls show function indices.
 */
export function functionText(builder: FunctionBuilder, name?: string): string {
  const identifier = name === undefined ? '' : ` $${identifierOf(name)}`;
  return functionLines(builder, identifier, String).join('\n') + '\n';
}

/** A whole module as WebAssembly text (§6.6.13); assembling it gives the module's bytes. */
export function moduleText(module: ModuleBuilder): string {
  const names = functionIdentifiers(module);
  const callName: CallName = (index) => names[index] ?? String(index);
  const lines = ['(module'];
  const add = (line: string): void => {
    lines.push(INDENT + line);
  };
  if (module.memory !== undefined) {
    const { module: from, name, type } = module.memory;
    add(`(import ${quoted(from)} ${quoted(name)} (memory${memoryTypeText(type)}))`);
  }
  for (const [index, { module: from, name, signature }] of module.imports.entries()) {
    const type = `(func ${callName(index)}${signatureText(signature)})`;
    add(`(import ${quoted(from)} ${quoted(name)} ${type})`);
  }
  for (const [index, { type, mutable, values }] of module.globals.entries()) {
    const typeText = mutable ? `(mut ${type})` : type;
    add(`(global (;${index};) ${typeText} (${type}.const ${constantText(type, values)}))`);
  }
  for (const { name, kind, index } of module.exports) {
    add(`(export ${quoted(name)} (${kind} ${kind === 'func' ? callName(index) : index}))`);
  }
  for (const [position, { builder }] of module.functions.entries()) {
    const index = module.imports.length + position;
    for (const line of functionLines(builder, ` ${callName(index)} (;${index};)`, callName)) {
      add(line);
    }
  }
  return lines.join('\n') + ')\n';
}

function functionLines(builder: FunctionBuilder, identifier: string, callName: CallName): string[] {
  const lines = [`(func${identifier}${signatureText(builder.signature)}`];
  for (const line of localLines(builder)) lines.push(INDENT + line);
  let depth = 1;
  for (const instruction of builder.instructions) {
    const { name } = instruction;
    if (name === 'end' || name === 'else') depth--;
    lines.push(INDENT.repeat(depth) + instructionText(instruction, callName));
    if (name === 'else' || instruction.row.immediate === 'block') depth++;
  }
  lines[lines.length - 1] += ')';
  return lines;
}

/** One line a run of equal types, with the indices as a comment. */
function localLines(builder: FunctionBuilder): string[] {
  const types = builder.localTypes;
  const lines: string[] = [];
  let start = builder.signature.params.length;
  while (start < types.length) {
    let end = start + 1;
    while (end < types.length && types[end] === types[start]) end++;
    const run = types.slice(start, end).join(' ');
    lines.push(`(local ${run}) (;${end - start === 1 ? start : `${start}..${end - 1}`};)`);
    start = end;
  }
  return lines;
}

function instructionText(instruction: RecordedInstruction, callName: CallName): string {
  const { name, row, values } = instruction;
  switch (row.immediate) {
    case 'block': {
      const type = valTypeOfCode(values[0] as number);
      return type === undefined ? name : `${name} (result ${type})`;
    }
    case 'function':
      return `${name} ${callName(values[0] as number)}`;
    case 'memory':
      return name + memoryText(row, values);
    case 'memoryLane':
      return `${name}${memoryText(row, values)} ${values[2]}`;
    case 'i32':
    case 'i64':
    case 'f32':
    case 'f64':
    case 'v128':
      return `${name} ${constantText(row.immediate, values)}`;
    default:
      return [name, ...values].join(' ');
  }
}

function memoryText(row: InstructionRow, values: FlatImmediates): string {
  const [offset, align] = values;
  const offsetText = offset === 0 ? '' : ` offset=${offset}`;
  return align === row.width ? offsetText : `${offsetText} align=${align}`;
}

function constantText(type: ValType, values: FlatImmediates): string {
  if (type === 'v128') return vectorText(values as readonly number[]);
  const value = values[0] as number | bigint;
  if (typeof value === 'bigint') return String(value);
  if (Object.is(value, -0)) return '-0';
  if (Number.isNaN(value)) return 'nan';
  if (value === Infinity) return 'inf';
  if (value === -Infinity) return '-inf';
  return String(value);
}

/** Four words of 32 bits, which is how most vectors of a kernel are read best. */
function vectorText(bytes: readonly number[]): string {
  const words: string[] = [];
  for (let start = 0; start < bytes.length; start += 4) {
    const digits = bytes.slice(start, start + 4).reverse();
    words.push('0x' + digits.map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  }
  return `i32x4 ${words.join(' ')}`;
}

function signatureText({ params, results }: Signature): string {
  const paramText = params.length === 0 ? '' : ` (param ${params.join(' ')})`;
  return results.length === 0 ? paramText : `${paramText} (result ${results.join(' ')})`;
}

function memoryTypeText({ minPages, maxPages, shared, address64 }: MemoryType): string {
  const address = address64 === true ? ' i64' : '';
  const maximum = maxPages === undefined ? '' : ` ${maxPages}`;
  return `${address} ${minPages}${maximum}${shared === true ? ' shared' : ''}`;
}

/** Identifiers of all functions by index; one that repeats gets its index appended. */
function functionIdentifiers(module: ModuleBuilder): string[] {
  const names = [
    ...module.imports.map((item) => `${item.module}.${item.name}`),
    ...module.functions.map((item) => item.name),
  ];
  const taken = new Set<string>();
  return names.map((name, index) => {
    let identifier = `$${identifierOf(name)}`;
    while (taken.has(identifier)) identifier += `.${index}`;
    taken.add(identifier);
    return identifier;
  });
}

function identifierOf(name: string): string {
  return name.replace(NOT_IDENTIFIER, '_') || '_';
}

/** A string of the text format (§6.3.3). */
function quoted(text: string): string {
  const escaped = text.replace(CONTROL_OR_QUOTE, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`;
    return `\\u{${character.charCodeAt(0).toString(16)}}`;
  });
  return `"${escaped}"`;
}
