import type { KernelBuilder } from '../../ir/kernel/builder.ts';
import { add, type Index, mul, sub, ZERO } from '../../ir/kernel/index-expr.ts';
import type { Mask, Value } from '../../ir/kernel/types.ts';
import type { ExpressionLowering } from '../lower/expression.ts';
import { AttentionOperands, AttentionReader } from './attention-operands.ts';
import { Recompute, writeRow } from './attention-recompute.ts';
import { blockingOf, panelsSeen, type QueryRange, rowOf, whenVisible } from './attention-scores.ts';
import { accumulate, fill, padded, vectorsFor, when } from './attention-tiles.ts';
import type { CallResult } from './call-template.ts';

/** dq: for each block of rows over all keys they see, dq = scale x sum of ds k. */
export function buildQueryGradient(
  b: KernelBuilder,
  lowering: ExpressionLowering,
  { call, write }: CallResult,
): void {
  const reader = new AttentionReader(b, lowering, new AttentionOperands(call));
  const { group, depth, attributes } = reader.operands;
  const { queries, rows, tile, blocks, keys, keyTiles } = blockingOf(reader);
  const stride = padded(b, depth);
  const panel = vectorsFor(b, tile) * b.lanes;
  const recompute = new Recompute(b, reader, rows, keys);
  const local = (name: string, size: number) => b.buffer(name, 'f32', size, 'local');
  const [plainKeys, slopes] = [local('keys', keys * stride), local('slopes', tile * keys)];
  const sums = local('sums', rows * stride);
  const tiles = (range: QueryRange, kv: Index, key: Index) => {
    const at = (row: Index) => rowOf(range, kv, group, row);
    b.loop(rows / tile, 'serial', [], (i) => {
      const row = mul(i, tile);
      const { query } = at(row);
      const step = (seen: QueryRange) => {
        const panels = panelsSeen(reader, seen, key, keys, panel);
        recompute.tile(at, key, panels, row, tile, ZERO, undefined, slopes);
        accumulate(b, sums, row, stride, {
          terms: mul(panels, panel),
          rows: tile,
          left: (k, r) => b.load(slopes, add(k, r * keys)),
          right: (k, column) => b.load(plainKeys, add(mul(k, stride), column)),
        });
      };
      if (range.count % tile !== 0) step(range);
      else {
        when(b, sub(sub(reader.queries, 1), query), () => {
          const seen = { ...range, first: query, count: tile };
          whenVisible(b, reader, seen, key, keys, () => step(seen));
        });
      }
    });
  };
  reader.eachPart(blocks, (batch, kv, block, offset) => {
    const range = { batch, offset, first: mul(block, queries), count: queries };
    fill(b, sums, 0);
    b.loop(group, 'serial', [], (g) => {
      recompute.packQueries(range, add(mul(kv, group), g), mul(g, queries));
    });
    b.loop(keyTiles, 'serial', [], (t) => {
      const key = mul(t, keys);
      whenVisible(b, reader, range, key, keys, () => {
        recompute.packKeys(batch, kv, key, true, plainKeys);
        tiles(range, kv, key);
      });
    });
    b.loop(rows, 'serial', [], (row) => {
      const { head, query } = rowOf(range, kv, group, row);
      const valid = sub(sub(reader.queries, 1), query);
      const put = (column: Index, value: Value, mask: Mask) => {
        write(reader.at(batch, head, query, column), value, [valid, ...mask]);
      };
      writeRow(b, sums, row, depth, put, attributes.scale);
    });
  });
}
