import { readFileSync, writeFileSync } from 'node:fs';
import {
  type Device,
  GraphInterpreter,
  KernelInterpreter,
  WasmDevice,
} from '../../src/device/index.ts';
import { arrayClass, DTYPES, type DType, type TypedArray } from '../../src/ir/dtype.ts';
import { decodeFloat, encodeFloat, isSmallFloat } from '../../src/ir/float-formats.ts';
import type { OpName } from '../../src/ir/graph/types.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { namedNativeDevices } from '../support/native-devices.ts';
import { runGraph } from '../support/run-graph.ts';
import { SAMPLES, type Sample } from './op-samples.ts';

/**
 * Runs one sample of every op in every type on every device, compares it with the graph interpreter,
 * and writes the table into docs/conformance.md. A difference is an error; a type that a device
 * refuses by name is left out of its cell. It needs a machine with AVX-512: the table shows all
 * devices.
 */
const DOCUMENT = new URL('../../docs/conformance.md', import.meta.url);
const [BEGIN, END] = ['<!-- table: npm run conformance -->', '<!-- end of table -->'];

/** Native devices of a set of instructions: alone between guards, and on two threads. */
function native(isa: 'avx2' | 'avx512'): Device[] {
  const found = namedNativeDevices().filter(([name]) => name.includes(isa));
  if (found.length === 0) throw new Error(`conformance: device native has no ${isa} here`);
  return found.map(([, device]) => device);
}

/** A letter stands where all of its devices agree. */
const DEVICES: readonly (readonly [letter: string, ...devices: Device[]])[] = [
  ['I', new GraphInterpreter()],
  ['K', new KernelInterpreter()],
  ['W', new WasmDevice({ relaxedSimd: true, threads: 1 })],
  ['T', new WasmDevice({ relaxedSimd: true, threads: 2, worthThreads: 0 })],
  ['Z', ...native('avx512')],
  ['Y', ...native('avx2')],
];

/** Small numbers that every type holds exactly; with signs where it has them. */
function values(dtype: DType, size: number, seed: number): TypedArray {
  const array = new (arrayClass(dtype))(size);
  for (let i = 0; i < size; i++) {
    const kind = DTYPES[dtype].kind;
    const number =
      kind === 'bool'
        ? (i + seed) % 2
        : kind === 'uint'
          ? (i * 7 + seed) % 6
          : ((i * 7 + seed) % 11) - 5;
    array[i] = isSmallFloat(dtype)
      ? encodeFloat(dtype, number / 2)
      : kind === 'float'
        ? number / 2
        : number;
  }
  return array;
}

function decoded(dtype: DType, array: TypedArray): number[] {
  return [...array].map((v) => (isSmallFloat(dtype) ? decodeFloat(dtype, v) : v));
}

function requireClose(
  got: readonly number[],
  wanted: readonly number[],
  dtype: DType,
  what: string,
): void {
  const { epsilon } = DTYPES[dtype];
  got.forEach((x, i) => {
    const y = wanted[i];
    if (Object.is(x, y) || Math.abs(x - y) <= 4 * epsilon * Math.abs(y)) return;
    throw new Error(`${what}: element ${i} is ${x}, expected ${y}`);
  });
}

async function check(sample: Sample, op: OpName, dtype: DType): Promise<string> {
  const { inputs, output } = sample;
  const data = inputs.map((x, i) => values(x.dtype, sizeOf(x.shape), i));
  let wanted: number[] | undefined;
  let letters = '';
  for (const [letter, ...devices] of DEVICES) {
    let agrees = true;
    for (const device of devices) {
      let got: number[];
      try {
        const [result] = await runGraph(device, [output], inputs, data);
        got = decoded(output.dtype, result);
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
        agrees = false;
        continue;
      }
      wanted ??= got;
      requireClose(got, wanted, output.dtype, `${op} of ${dtype} on ${device.name} (${letter})`);
    }
    if (agrees) letters += letter;
  }
  return letters;
}

const types = Object.keys(DTYPES) as DType[];
const rows = [`| op | ${types.join(' | ')} |`, `| --- |${types.map(() => ' --- |').join('')}`];
let cases = 0;
for (const op of Object.keys(SAMPLES) as OpName[]) {
  const cells: string[] = [];
  for (const dtype of types) {
    let sample: Sample | undefined;
    try {
      sample = SAMPLES[op](dtype);
    } catch (error) {
      // The op itself refuses the type.
      if (!(error instanceof TypeError)) throw error;
    }
    cells.push(sample ? await check(sample, op, dtype) : '');
    cases += sample ? 1 : 0;
  }
  if (op !== 'var' && cells.every((c) => c === ''))
    throw new Error(`${op}: its sample fits no type`);
  rows.push(`| ${op} | ${cells.join(' | ')} |`);
}
const text = readFileSync(DOCUMENT, 'utf8');
const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
if (from < 0 || to < from) throw new Error(`docs/conformance.md lacks ${BEGIN} or ${END}`);
writeFileSync(
  DOCUMENT,
  `${text.slice(0, from + BEGIN.length)}\n\n${rows.join('\n')}\n\n${text.slice(to)}`,
);
console.log(`docs/conformance.md: ${cases} cases agree`);
process.exit(0);
