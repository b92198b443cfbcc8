import type { OpName, OpRule } from '../types.ts';
import { call } from './call.ts';
import { dequantize } from './dequantize.ts';
import { dot } from './dot.ts';
import { binary, bitcast, cast, compare, unary, where } from './elementwise.ts';
import { gather, scatter } from './indexing.ts';
import { buffer, constant, iota, variable } from './leaf.ts';
import { after, mark } from './marks.ts';
import { expand, flip, pad, permute, reshape, shrink } from './movement.ts';
import { quantize } from './quantize.ts';
import { reduce } from './reduce.ts';
import { scan } from './scan.ts';
import { sort } from './sort.ts';
import { spread, window } from './window.ts';

/** The op table: every fact of every op. An op of `OpArgs` without its entry does not compile. */
export const OPS: { readonly [K in OpName]: OpRule<K> } = {
  const: constant,
  buffer,
  var: variable,
  iota,
  cast,
  bitcast,
  unary,
  binary,
  compare,
  where,
  reduce,
  scan,
  sort,
  reshape,
  permute,
  expand,
  pad,
  shrink,
  flip,
  window,
  spread,
  gather,
  scatter,
  dot,
  quantize,
  dequantize,
  mark,
  after,
  call,
};
