import { SGD } from '../../optim/index.ts';
import { random, type Tensor } from '../../tensor/index.ts';
import { trained } from '../classifier.ts';
import { examplesOf, standardised } from '../digits.ts';
import { type Experiment, figure, note, progress, row } from '../experiment.ts';
import { MLP } from '../mlp.ts';
import { curveOf, mean, spreadText } from '../statistics.ts';

/** Training loss that has to be reached. */
const TARGET = 0.1;
const RATES = [0.01, 0.03, 0.1, 0.3, 1];
const MEASURES = 4;

/** Each with the gain that keeps the size of its signals (He for ReLU's kin, 5/3 for tanh). */
const ACTIVATIONS: readonly {
  readonly name: string;
  readonly gain: number;
  readonly of: (x: Tensor) => Tensor;
}[] = [
  { name: 'sigmoid', gain: 1, of: (x) => x.sigmoid() },
  { name: 'tanh', gain: 5 / 3, of: (x) => x.tanh() },
  { name: 'ReLU', gain: Math.SQRT2, of: (x) => x.relu() },
  { name: 'GELU', gain: Math.SQRT2, of: (x) => x.gelu('tanh') },
  { name: 'SiLU', gain: Math.SQRT2, of: (x) => x.silu() },
  { name: 'ReLU squared', gain: Math.SQRT2 / Math.sqrt(3), of: (x) => x.relu().square() },
];

export const activations: Experiment = {
  name: 'activations',
  title: 'ReLU reaches a given error sooner than tanh',
  paper:
    'Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks. ' +
    'NIPS 2012 (figure 1). GELU: Hendrycks and Gimpel 2016; ReLU squared: So et al. 2021.',
  claim:
    'A network of four convolutional layers with ReLU reaches 25 % training errors on CIFAR-10 six ' +
    'times sooner than the same with tanh. Here: in at most 0.6 times the epochs.',
  setting: [
    'The first 5,000 training digits of MNIST; 784-128-128-128-10; SGD without momentum, batches of ' +
      '50, 8 epochs.',
    'The rate is the best of 0.01, 0.03, 0.1, 0.3 and 1 for each activation by the epochs that the first ' +
      'seed takes, then by its last loss.',
    `Reached: a mean training loss of ${TARGET} over a quarter of an epoch, measured every quarter. ` +
      'A run that does not get there counts with all its epochs.',
  ],
  seeds: 3,
  async *run(lab) {
    const count = lab.size(5000, 400);
    const epochs = lab.size(8, 1);
    const train = examplesOf(await lab.data.digits('mnist', 'train'), standardised, count);
    const test = examplesOf(
      await lab.data.digits('mnist', 'test'),
      standardised,
      lab.size(500, 100),
    );
    let epochsAt: number[] = [];
    const reached = (losses: readonly number[]) => {
      const at = losses.findIndex((loss) => loss <= TARGET);
      return at < 0 ? epochs : (epochsAt[at] as number);
    };
    const results: { name: string; lr: number; runs: number[][] }[] = [];
    for (const { name, gain, of } of ACTIVATIONS) {
      const run = async (seed: number, lr: number) => {
        random.seed(seed);
        const sizes = [train.width, 128, 128, 128, 10];
        const model = new MLP({ sizes, activation: of, gain });
        const measured = await trained({
          model,
          optimizer: new SGD(model.parameters(), { lr }),
          train,
          test,
          batch: 50,
          epochs,
          seed,
          measures: MEASURES,
          signal: lab.signal,
        });
        epochsAt = measured.map(({ epoch }) => epoch);
        // What has diverged is as bad as can be, and no number of a chart.
        return measured.map(({ loss }) => (loss < 10 ? loss : 10));
      };
      let best: { lr: number; losses: number[] } | undefined;
      for (const lr of RATES) {
        const losses = await run(lab.seeds[0] as number, lr);
        yield progress(
          `${name}, rate ${lr}: ${reached(losses)} epochs, loss ${losses.at(-1)?.toFixed(3)}`,
        );
        const order = (l: readonly number[]) => reached(l) * 100 + (l.at(-1) as number);
        if (!best || order(losses) < order(best.losses)) best = { lr, losses };
      }
      if (!best) continue;
      const runs = [best.losses];
      for (const seed of lab.seeds.slice(1)) runs.push(await run(seed, best.lr));
      results.push({ name, lr: best.lr, runs });
    }
    const epochsOf = (name: string) =>
      results.find((r) => r.name === name)?.runs.map(reached) ?? [];
    const ratio = mean(epochsOf('ReLU')) / mean(epochsOf('tanh'));
    yield row('epochs of ReLU over those of tanh', 'about 1/6', ratio.toFixed(2), ratio <= 0.6);
    for (const { name, lr, runs } of results) {
      const needed = runs.map(reached);
      const text = mean(needed) === epochs ? `not in ${epochs}` : spreadText(needed, 2);
      yield row(`epochs to a loss of ${TARGET}, ${name} (rate ${lr})`, '-', text);
    }
    yield note(
      'A tuned rate and normalised inputs take away much of what tanh suffers from in the paper.',
    );
    yield figure({
      title: 'Training loss by epoch, the rate tuned for each activation',
      subtitle: `mean and range of ${lab.seeds.length} seeds`,
      x: { label: 'epoch' },
      y: { label: 'training loss', scale: 'log' },
      lines: [{ y: TARGET, label: 'the target' }],
      series: results.map(({ name, runs }) => ({ name, ...curveOf(epochsAt, runs) })),
    });
  },
};
