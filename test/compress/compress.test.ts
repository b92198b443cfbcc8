import { describe, expect, it } from 'vitest';
import {
  type CompressionReport,
  compressModel,
  modelSize,
  planCompression,
  reportPage,
  summaryRows,
  verdict,
} from '../../src/compress/index.ts';
import { Llama, llamaConfig } from '../../src/models/index.ts';
import { PackedWeight } from '../../src/nn/index.ts';
import { random, realize, tensor } from '../../src/tensor/index.ts';

function model(sizes: { hidden?: number; ff?: number; tied?: boolean } = {}): Llama {
  random.seed(9);
  const config = llamaConfig({
    vocab_size: 40,
    hidden_size: sizes.hidden ?? 128,
    intermediate_size: sizes.ff ?? 160,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    tie_word_embeddings: sizes.tied ?? false,
  });
  return new Llama(config, { std: 0.1 });
}

const logits = async (llama: Llama): Promise<number[]> =>
  Array.from(await llama.forward(tensor([[1, 2, 3, 4, 5, 6]], { dtype: 'i32' })).data());

describe('a plan', () => {
  it('packs matrices, tables in 8 bits, and says what stays', () => {
    const plan = planCompression(model({ ff: 172 }), { scheme: 'int4-g128' });
    const of = (end: string) => plan.filter(({ layer }) => layer.endsWith(end));
    expect(of('embed_tokens')).toMatchObject(
      [{ scheme: 'int8-g32', reason: /table/ }].map(() => ({
        scheme: 'int8-g32',
      })),
    );
    expect(of('q_proj').map(({ scheme }) => scheme)).toEqual(['int4-g128', 'int4-g128']);
    expect(of('down_proj').map(({ scheme }) => scheme)).toEqual([undefined, undefined]);
    expect(of('down_proj')[0]?.reason).toContain('rows of 172 do not hold whole blocks');
    expect(of('lm_head')).toHaveLength(1);
  });

  it('takes smaller blocks where rows hold no whole ones', () => {
    const plan = planCompression(model({ ff: 160 }), { scheme: 'int4-g128' });
    const down = plan.find(({ layer }) => layer.endsWith('down_proj'));
    expect(down).toMatchObject({ scheme: 'int4-g32' });
    expect(down?.reason).toContain('128');
  });

  it('leaves alone what is ignored, and refuses names that fit nothing', () => {
    const ignore = ['lm_head', '/model\\.layers\\.0\\..*/'];
    const plan = planCompression(model(), { scheme: 'int8', ignore });
    const kept = plan.filter(({ scheme }) => scheme === undefined).map(({ layer }) => layer);
    expect(kept).toHaveLength(8);
    expect(kept).toContain('model.layers.0.mlp.up_proj');
    expect(() => planCompression(model(), { scheme: 'int8', ignore: ['head'] })).toThrow(
      'ignore is "head"',
    );
    const scheme = 'int3' as 'int8';
    expect(() => planCompression(model(), { scheme })).toThrow('int8, int4-g32, int4-g128');
  });
});

describe('a compressed model', () => {
  for (const [scheme, largest, bits] of [
    ['int8', 0.03, 8.5],
    ['int4-g32', 0.45, 4.5],
    ['int4-g128', 0.45, 4.125],
  ] as const) {
    it(`${scheme}: the answers of before within its error, at its size`, async () => {
      const llama = model({ ff: 256 });
      const before = await logits(llama);
      const size = modelSize(llama);
      const layers = await compressModel(llama, { scheme });
      const after = await logits(llama);
      const norm = (pick: (i: number) => number) =>
        Math.sqrt(before.reduce((sum: number, _: number, i: number) => sum + pick(i) ** 2, 0));
      const error = norm((i) => after[i] - before[i]) / norm((i) => before[i]);
      expect(error).toBeGreaterThan(0);
      expect(error).toBeLessThan(largest);
      const query = layers.find(({ layer }) => layer.endsWith('1.self_attn.q_proj'));
      expect(query).toMatchObject({
        stored: scheme === 'int8' ? 'int8-g32' : scheme,
        shape: [128, 128],
      });
      expect(query?.bitsPerWeight).toBeCloseTo(bits, 6);
      expect(query?.relativeError).toBeGreaterThan(0);
      expect(query?.relativeError).toBeLessThan(scheme === 'int8' ? 0.01 : 0.14);
      const now = modelSize(llama);
      expect(now.weights).toBe(size.weights);
      expect(size.bitsPerWeight).toBe(32);
      const sum = layers.reduce((n, { bytes, bytesBefore }) => n + bytesBefore - bytes, 0);
      expect(size.bytes - now.bytes).toBe(sum);
      await expect(compressModel(llama, { scheme })).rejects.toThrow('that are not packed');
      llama.dispose();
    });
  }

  it('frees the weights that it packs', async () => {
    const llama = model();
    const { device } = llama.model.embed_tokens;
    await realize(...[...llama.state().values()].map((cell) => cell.held));
    const held = device.liveBytes;
    const { bytes } = modelSize(llama);
    await compressModel(llama, { scheme: 'int4-g32' });
    expect(device.liveBytes).toBeLessThan(held - 0.7 * bytes);
  });

  it('a tied table is packed once and serves both ends', async () => {
    const llama = model({ tied: true });
    const before = await logits(llama);
    await compressModel(llama, { scheme: 'int8' });
    expect(llama.model.embed_tokens.weight).toBeInstanceOf(PackedWeight);
    const after = await logits(llama);
    const worst = before.reduce(
      (w: number, v: number, i: number) => Math.max(w, Math.abs(v - after[i])),
      0,
    );
    expect(worst).toBeLessThan(0.05 * Math.max(...before.map(Math.abs)));
  });

  it('is not made of weights that are no numbers', async () => {
    const llama = model();
    const weight = llama.model.layers[1].mlp.up_proj.weight;
    if (weight instanceof PackedWeight) throw new Error('packed');
    weight.set(weight.value.mul(Number.NaN));
    await expect(compressModel(llama, { scheme: 'int8' })).rejects.toThrow(
      'the weights of model.layers.1.mlp.up_proj have the norm NaN',
    );
  });
});

describe('a report', () => {
  it('tells size, speed and errors, as rows and as a page', async () => {
    const llama = model();
    const before = {
      size: modelSize(llama),
      speed: { promptTokens: 8, prefill: 100, newTokens: 4, decode: 50 },
    };
    const layers = await compressModel(llama, { scheme: 'int4-g32' });
    const after = { size: modelSize(llama), speed: { ...before.speed, decode: 40 } };
    const report: CompressionReport = {
      model: 'small <one>',
      scheme: 'int4-g32',
      method: 'round to nearest',
      activations: 'int8',
      before,
      after,
      layers,
    };
    expect(verdict(report)).toMatch(/^\d\.\d\d times smaller, not faster: it writes at 0.80 times/);
    expect(summaryRows(report).map(([name]) => name)).toEqual([
      '',
      'size',
      'bits per weight',
      'prefill of 8',
      'decode',
    ]);
    const page = await reportPage(report);
    expect(page).toContain('small &lt;one>');
    expect(page.match(/<svg /g)?.length).toBeGreaterThanOrEqual(2);
    for (const { layer } of layers) expect(page).toContain(`<td>${layer}</td>`);
  });
});
