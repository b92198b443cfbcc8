import { afterAll, expect, test, vi } from 'vitest';
import { ModelRunner } from '../../src/generate/runner.ts';
import { answer, closeEngines, engineOf, greedy } from '../support/engine.ts';
import { until } from '../support/until.ts';

afterAll(closeEngines);

test('requests go before what is still to be prepared, and find what they left', async () => {
  const engine = engineOf({ slots: 4 });
  const fill = vi.spyOn(ModelRunner.prototype, 'fill');
  const decode = vi.spyOn(ModelRunner.prototype, 'decode');
  try {
    const order: string[] = [];
    const prepared = engine.prepare?.().then(() => order.push('prepared'));
    await until(() => fill.mock.calls.length === 1);
    const wish = { prompt: 'a conversation of some length', ...greedy, maxTokens: 2 };
    const wanted = await answer(engine, wish).then((one) => {
      order.push('answered');
      return one;
    });
    await prepared;
    expect(order).toEqual(['answered', 'prepared']);
    expect(decode.mock.calls.map(([rows]) => rows.length)).toEqual([1, 2, 4]);
    fill.mockClear();
    expect(await answer(engine, wish)).toEqual(wanted);
    expect(fill.mock.calls.map(([, , { size }]) => size)).toEqual([1]);
  } finally {
    fill.mockRestore();
    decode.mockRestore();
  }
});
