import { SeededRandom } from '../../data/index.ts';
import { Adam, clipByGlobalNorm } from '../../optim/index.ts';
import { jit, random, type Tensor, tensor, valueAndGrad } from '../../tensor/index.ts';
import { type Experiment, figure, type Lab, note, progress, row } from '../experiment.ts';
import { type CellName, SequenceRegressor } from '../recurrent-models.ts';
import { curveOf, spreadText } from '../statistics.ts';

const TIME = 100;
const BATCH = 50;
const HIDDEN = 64;
/** The error of always saying 1: the variance of the sum of two uniform numbers. */
const CHANCE = 1 / 6;
const SOLVED = 0.02;
const EVERY = 50;

export const rnnLstm: Experiment = {
  name: 'rnn-lstm',
  title: 'An LSTM remembers over a hundred steps, a plain recurrent network does not',
  paper: 'Hochreiter, Schmidhuber: Long short-term memory. Neural Computation 9(8), 1997.',
  claim:
    'Gates that hold the error constant learn dependencies over long lags, where the gradients of a ' +
    'plain recurrent network vanish. Here: the adding problem over 100 steps.',
  setting: [
    `Each example is ${TIME} pairs: a number from 0 to 1, and a mark on one pair of the first half and one ` +
      'of the second; wanted is the sum of the two marked numbers. Always saying 1 has an error of 0.167.',
    `Both networks: ${HIDDEN} hidden units, Adam, gradients clipped to a norm of 1, ${BATCH} fresh examples a ` +
      'step, 1,000 steps. The rate is 1e-2 for the LSTM, whose forget gates begin open, and the better of ' +
      '1e-3 and 1e-2 for the plain network (tanh), chosen by the first seed.',
    'Errors are mean squares over 1,000 other examples.',
  ],
  seeds: 2,
  async *run(lab) {
    const steps = lab.size(1000, 4);
    const curves: Record<CellName, number[][]> = { RNN: [], LSTM: [] };
    const rates: Record<CellName, readonly number[]> = { RNN: [1e-3, 1e-2], LSTM: [1e-2] };
    for (const name of ['LSTM', 'RNN'] as const) {
      let best: { lr: number; errors: number[] } | undefined;
      for (const lr of rates[name]) {
        const errors = await learn(lab, name, lab.seeds[0] as number, lr, steps);
        yield progress(`${name}, rate ${lr}, seed 1: error ${errors.at(-1)?.toFixed(4)}`);
        if (!best || (errors.at(-1) as number) < (best.errors.at(-1) as number))
          best = { lr, errors };
      }
      if (!best) continue;
      curves[name].push(best.errors);
      for (const seed of lab.seeds.slice(1)) {
        const errors = await learn(lab, name, seed, best.lr, steps);
        yield progress(
          `${name}, rate ${best.lr}, seed ${seed}: error ${errors.at(-1)?.toFixed(4)}`,
        );
        curves[name].push(errors);
      }
    }
    const last = (name: CellName) => curves[name].map((errors) => errors.at(-1) as number);
    const lstm = last('LSTM');
    const rnn = last('RNN');
    yield row(
      'error of the LSTM',
      `< ${SOLVED}`,
      spreadText(lstm, 4),
      lstm.every((error) => error < SOLVED),
    );
    yield row(
      'error of the plain network',
      `about ${CHANCE.toFixed(3)} (chance)`,
      spreadText(rnn, 4),
      rnn.every((error) => error > 0.1),
    );
    yield note('The plain network counts as stuck where its error stays above 0.1.');
    const at = curves.LSTM[0]?.map((_, i) => Math.min(steps, (i + 1) * EVERY)) ?? [];
    yield figure({
      title: 'Error on the adding problem by step',
      subtitle: `mean and range of ${lab.seeds.length} seeds, 100 steps of time`,
      x: { label: 'training step' },
      y: { label: 'mean squared error', scale: 'log' },
      lines: [{ y: CHANCE, label: 'chance' }],
      series: (['RNN', 'LSTM'] as const).map((name) => ({ name, ...curveOf(at, curves[name]) })),
    });
  },
};

/** Errors on the test examples, every so many steps and at the end. */
async function learn(
  lab: Lab,
  name: CellName,
  seed: number,
  lr: number,
  steps: number,
): Promise<number[]> {
  random.seed(seed);
  const model = new SequenceRegressor(name, 2, HIDDEN);
  const optimizer = new Adam(model.parameters(), { lr });
  const step = jit((x: Tensor, y: Tensor) => {
    const { value, grads } = valueAndGrad((m: SequenceRegressor) => m.loss(x, y))(model);
    optimizer.update(clipByGlobalNorm(grads, 1).grads);
    return value;
  });
  const measure = jit((x: Tensor, y: Tensor) => model.loss(x, y));
  const source = new SeededRandom(seed);
  const errors: number[] = [];
  const on = async (f: (x: Tensor, y: Tensor) => Promise<Tensor>, from: SeededRandom) => {
    const { inputs, sums } = examples(from);
    using x = tensor(inputs, { shape: [TIME, BATCH, 2] });
    using y = tensor(sums);
    using loss = await f(x, y);
    return await loss.item();
  };
  try {
    for (let t = 1; t <= steps; t++) {
      lab.signal.throwIfAborted();
      await on(step, source);
      if (t % EVERY !== 0 && t !== steps) continue;
      const others = new SeededRandom(1_000_000);
      let sum = 0;
      const batches = 1000 / BATCH;
      for (let i = 0; i < batches; i++) sum += await on(measure, others);
      errors.push(sum / batches);
    }
  } finally {
    step.dispose();
    measure.dispose();
    optimizer.dispose();
    model.dispose();
  }
  return errors;
}

/** A batch: inputs [time, batch, 2] and the sums [batch]. */
function examples(source: SeededRandom): { inputs: Float32Array; sums: Float32Array } {
  const inputs = new Float32Array(TIME * BATCH * 2);
  const sums = new Float32Array(BATCH);
  for (let b = 0; b < BATCH; b++) {
    const marked = [source.integer(TIME / 2), TIME / 2 + source.integer(TIME / 2)];
    for (let t = 0; t < TIME; t++) {
      const at = (t * BATCH + b) * 2;
      const value = source.next() / 2 ** 32;
      inputs[at] = value;
      if (!marked.includes(t)) continue;
      inputs[at + 1] = 1;
      sums[b] = (sums[b] as number) + value;
    }
  }
  return { inputs, sums };
}
