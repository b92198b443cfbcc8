import { badArgument } from '../../base/errors.ts';
import { LruMap } from '../../base/lru.ts';
import * as g from '../../ir/graph/build.ts';
import type { CallArg } from '../../ir/graph/types.ts';
import {
  ACTIVATION_BLOCK,
  ACTIVATION_SCHEME,
  ORIGIN_PLACE,
  originOf,
  PANEL_ROWS,
  panelWords,
  SCALE_PLACE,
  WORD_CODES,
  WORDS,
} from '../../ir/packed.ts';
import { formatShape, isVar, type Shape } from '../../ir/shape.ts';
import { autocast } from '../autocast.ts';
import { customGradient } from '../custom-gradient.ts';
import { Lazy } from '../lazy.ts';
import { arange, concat, full, Tensor } from '../tensor.ts';
import { fromPanels, type PackedMatrix, requirePanels } from './packed-panels.ts';
import { dequantize } from './quantization.ts';

/**
 * x [.., columns] times the transpose of a packed matrix [rows, columns], [.., rows]. The activations
 * are rounded to int8 with one scale for 32 neighbours (largest magnitude / 127, codes to nearest even), the
 * products of codes are summed exactly within each block of 32, and the blocks are added in f32 in
 * their order: the bits of a row of the result depend on its own row of x alone.
 *
 * The gradient by x passes straight through the rounding: it is the upstream gradient times the
 * matrix (Bengio et al. 2013). The matrix has none.
 *
 * @param x floats (not f64); the result has its type
 */
export function packedLinear(x: Tensor, matrix: PackedMatrix): Tensor {
  requireOperands(x, matrix);
  const through = customGradient(
    (y: Tensor) => product(y, matrix),
    // Its own rounding is all there is: autocast adds none.
    (upstream) => autocast('f32', () => upstream.matmul(packedValues(matrix))),
  );
  return through(x.cast('f32')).cast(x.dtype);
}

/** The values [rows, columns] of a packed matrix as f32, computed where they are used. */
export function packedValues(matrix: PackedMatrix): Tensor {
  const { codes, scales } = fromPanels(matrix);
  return dequantize({ scheme: matrix.scheme, packed: codes, scales });
}

function requireOperands(x: Tensor, { shape, scheme }: PackedMatrix): void {
  requirePanels('packedLinear', shape, scheme);
  const last = x.shape[x.rank - 1];
  if (last !== shape[1] || x.dtype === 'f64' || !['f32', 'f16', 'bf16'].includes(x.dtype)) {
    const expected = `f32, f16 or bf16 [.., ${shape[1]}]`;
    throw badArgument('packedLinear', 'x', `${x.dtype}${formatShape(x.shape)}`, expected);
  }
}

function product(x: Tensor, { scheme, shape, codes, scales }: PackedMatrix): Tensor {
  const { bits } = scheme;
  const rounded = x.derive(g.call([x.node], roundingCall(x, bits)));
  const sources = [rounded.node, codes.node, scales.node];
  const arg = productCall(rounded, codes, scales, bits, shape[0]);
  return rounded.derive(g.call(sources, arg), codes, scales);
}

/** Calls of one kind and shape share their bodies: a model has many. */
const calls = new LruMap<string, CallArg>(256);

function sharedCall(key: string, sources: readonly Tensor[], make: () => CallArg): CallArg {
  const shapes = sources.map(({ dtype, shape }) => `${dtype}${shapeText(shape)}`);
  const full = `${key}:${shapes.join()}`;
  const known = calls.get(full);
  if (known) return known;
  const made = make();
  calls.set(full, made);
  return made;
}

function shapeText(shape: Shape): string {
  return shape.map((d) => (isVar(d) ? `${d.name}<${d.min},${d.max}>` : d)).join('x');
}

/** Stand-ins for the sources of a call. */
function standIns(sources: Readonly<Record<string, Tensor>>) {
  const entries = Object.entries(sources);
  const parameters = entries.map(([name, x]) => g.bufferNode(x.dtype, x.shape, name));
  const inner = entries.map(([, x], i) => new Tensor(new Lazy(x.device, parameters[i], [])));
  return { parameters, inner };
}

function roundingCall(x: Tensor, bits: 4 | 8): CallArg {
  return sharedCall(`activations${bits}`, [x], () => {
    const { parameters, inner } = standIns({ x });
    return {
      name: 'packed.activations',
      parameters,
      body: roundedBlocks(inner[0], bits).node,
      attributes: { bits },
    };
  });
}

/** Activations [.., columns] as entries i32 [.., blocks, ENTRY]. */
function roundedBlocks(x: Tensor, bits: 4 | 8): Tensor {
  const lead = x.shape.slice(0, -1);
  const blocks = (x.shape[x.rank - 1] as number) / ACTIVATION_BLOCK;
  const exact = x
    .reshape([...lead, blocks, ACTIVATION_BLOCK])
    .abs()
    .max(-1)
    .div(127);
  const scale = exact.eq(0).where(full(exact.shape, 1, { device: x.device }), exact);
  const codes = x
    .derive(g.quantize(x.node, scale.node, undefined, ACTIVATION_SCHEME), scale)
    .cast('i32');
  const shifts = arange(WORD_CODES, { device: x.device }).mul(8);
  const words = inWords(codes, [...lead, blocks], bits)
    .bitwiseAnd(255)
    .shiftLeft(shifts)
    .sum(-1);
  const origin = codes
    .reshape([...lead, blocks, ACTIVATION_BLOCK])
    .sum(-1, true)
    .mul(-originOf(bits));
  return concat([words, scale.bitcast('i32').unsqueeze(-1), origin], -1);
}

/** Codes [.., columns] as [.., blocks, words, 4], in the order in which the weight's come. */
function inWords(codes: Tensor, lead: Shape, bits: 4 | 8): Tensor {
  if (bits === 8) return codes.reshape([...lead, WORDS, WORD_CODES]);
  // Of two neighbours the first has the low half of the weight's byte.
  const pairs = codes.reshape([...lead, WORDS / 2, WORD_CODES, 2]);
  return pairs.transpose(-1, -2).reshape([...lead, WORDS, WORD_CODES]);
}

function productCall(
  rounded: Tensor,
  codes: Tensor,
  scales: Tensor,
  bits: 4 | 8,
  rows: number,
): CallArg {
  return sharedCall(`product${bits}:${rows}`, [rounded, codes, scales], () => {
    const { parameters, inner } = standIns({ x: rounded, codes, scales });
    return {
      name: 'packed.product',
      parameters,
      body: blockProducts(inner[0], inner[1], inner[2], bits, rows).node,
      attributes: { bits },
    };
  });
}

/** The product in single operations: what the template is held to. */
function blockProducts(
  entries: Tensor,
  codes: Tensor,
  scales: Tensor,
  bits: 4 | 8,
  rows: number,
): Tensor {
  const lead = entries.shape.slice(0, -2);
  const [panels, blocks] = codes.shape as readonly number[];
  const padded = panels * PANEL_ROWS;
  const left = blocksFirst(wordCodes(entries).reshape([...lead, blocks, ACTIVATION_BLOCK]));
  const right = weightCodes(codes, bits).permute([1, 2, 0]); // [blocks, 32, padded rows]
  const exact = left.derive(g.dot(left.node, right.node, 1, 1), right);
  const place = (at: number) => blocksFirst(entries.narrow(-1, at, 1));
  const factors = place(SCALE_PLACE)
    .bitcast('f32')
    .mul(perBlock(scales.cast('f32'), blocks, lead.length));
  const terms = exact.add(place(ORIGIN_PLACE)).cast('f32').mul(factors);
  // Sums begin with 0, also that of a single block, which may be -0.
  const sums = terms
    .cumsum(0)
    .narrow(0, blocks - 1, 1)
    .add(0);
  return sums.reshape([...lead, padded]).narrow(-1, 0, rows);
}

/** The axis of blocks, the last but one, in front of all others. */
function blocksFirst(x: Tensor): Tensor {
  const axis = x.rank - 2;
  return x.permute([axis, ...x.shape.map((_, i) => i).filter((i) => i !== axis)]);
}

/** The codes in the words of entries, with their signs: [.., blocks, words, 4]. */
function wordCodes(entries: Tensor): Tensor {
  const shifts = arange(WORD_CODES, { device: entries.device }).mul(-8).add(24);
  return entries.narrow(-1, 0, WORDS).unsqueeze(-1).shiftLeft(shifts).shiftRight(24);
}

/** Unsigned codes [padded rows, blocks, 32] i32, within a block in the order of the entries' words. */
function weightCodes(codes: Tensor, bits: 4 | 8): Tensor {
  const [panels, blocks] = codes.shape as readonly number[];
  const bytes = codes.permute([0, 3, 1, 2, 4]).cast('i32'); // [panels, rows, blocks, words, 4]
  const shape = [panels * PANEL_ROWS, blocks, ACTIVATION_BLOCK];
  if (bits === 8) return bytes.add(originOf(8)).reshape(shape);
  const halves = arange(2, { device: codes.device }).mul(4).unsqueeze(-1);
  return bytes
    .reshape([panels, PANEL_ROWS, blocks, panelWords(4), 1, WORD_CODES])
    .shiftRight(halves)
    .bitwiseAnd(15)
    .reshape(shape);
}

/** Scales of a panel's rows as [blocks, 1, .., padded rows]. */
function perBlock(scales: Tensor, blocks: number, axes: number): Tensor {
  const [panels, groups] = scales.shape as readonly number[];
  const each = blocks / groups;
  return scales
    .permute([1, 0, 2])
    .reshape([groups, 1, panels * PANEL_ROWS])
    .expand([groups, each, panels * PANEL_ROWS])
    .reshape([blocks, ...new Array<number>(axes).fill(1), panels * PANEL_ROWS]);
}
