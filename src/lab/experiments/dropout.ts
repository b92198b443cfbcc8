import { Adam, cosineSchedule } from '../../optim/index.ts';
import { random, type Tensor } from '../../tensor/index.ts';
import { trained } from '../classifier.ts';
import { examplesOf, fromZero } from '../digits.ts';
import { type Experiment, figure, note, progress, row } from '../experiment.ts';
import { MLP } from '../mlp.ts';
import { curveOf, mean, spreadText } from '../statistics.ts';

const SHARES = { inputs: 0.2, hidden: 0.5 };

export const dropout: Experiment = {
  name: 'dropout',
  title: 'Dropout keeps a network from learning its few examples by heart',
  paper:
    'Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov: Dropout, a simple way to prevent ' +
    'neural networks from overfitting. JMLR 15, 2014.',
  claim:
    'Dropping units at random in training, and none in use, lowers the test errors on MNIST from ' +
    '1.60 % to 1.25 % (ReLU, all 60,000 digits). Here: at least a tenth fewer on 5,000 digits.',
  setting: [
    'The first 5,000 training digits of MNIST, inks from 0 to 1; the errors are of all 10,000 test digits.',
    '784-512-512-10 with ReLU; Adam, 1e-3 falling to 0 by half a cosine, batches of 100, 40 epochs.',
    'Dropout: 0.2 of the inputs, 0.5 of the hidden units. Nothing else differs, the seeds neither.',
  ],
  seeds: 5,
  async *run(lab) {
    const count = lab.size(5000, 300);
    const epochs = lab.size(40, 1);
    const train = examplesOf(await lab.data.digits('mnist', 'train'), fromZero, count);
    const test = examplesOf(await lab.data.digits('mnist', 'test'), fromZero, lab.size(10000, 300));
    const arms = { plain: [] as number[][], dropout: [] as number[][] };
    let epochsAt: number[] = [];
    for (const seed of lab.seeds) {
      for (const arm of ['plain', 'dropout'] as const) {
        random.seed(seed);
        const model = new MLP({
          sizes: [train.width, 512, 512, 10],
          activation: (x: Tensor) => x.relu(),
          ...(arm === 'dropout' && { dropout: SHARES }),
        });
        const steps = epochs * Math.floor(count / 100);
        const measured = await trained({
          model,
          optimizer: new Adam(model.parameters()),
          rate: cosineSchedule({ peak: 1e-3, steps, floor: 0 }),
          train,
          test,
          batch: 100,
          epochs,
          measures: 0.25,
          seed,
          signal: lab.signal,
        });
        epochsAt = measured.map(({ epoch }) => epoch);
        arms[arm].push(measured.map(({ testError }) => testError));
        yield progress(
          `seed ${seed}, ${arm}: ${arms[arm].at(-1)?.at(-1)?.toFixed(2)} % test errors`,
        );
      }
    }
    const last = (runs: readonly number[][]) => runs.map((run) => run.at(-1) as number);
    const [plain, dropped] = [last(arms.plain), last(arms.dropout)];
    const fewer = 1 - mean(dropped) / mean(plain);
    const better = plain.filter((error, i) => (dropped[i] as number) < error).length;
    yield row('test errors without dropout', '1.60 %', `${spreadText(plain, 2)} %`);
    yield row('test errors with dropout', '1.25 %', `${spreadText(dropped, 2)} %`);
    yield row('fewer errors', '22 %', `${(100 * fewer).toFixed(0)} %`, fewer >= 0.1);
    yield row('seeds in which dropout is better', '-', `${better} of ${plain.length}`);
    yield note("The paper's figures are of 60,000 digits and larger networks; ours are of 5,000.");
    yield note(
      'With 16 epochs (and inks standardised to mean 0) dropout was worse, 5.75 against 5.21 %: it ' +
        'pays only where a network is trained until it knows its examples.',
    );
    yield figure({
      title: 'Test errors by epoch, 5,000 digits',
      subtitle: `mean and range of ${lab.seeds.length} seeds`,
      x: { label: 'epoch' },
      y: { label: 'test errors, %', scale: 'log' },
      series: [
        { name: 'plain', ...curveOf(epochsAt, arms.plain) },
        { name: 'dropout', ...curveOf(epochsAt, arms.dropout) },
      ],
    });
  },
};
