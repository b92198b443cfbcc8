import { SeededRandom } from '../../data/index.ts';
import { LeNet1989 } from '../../models/index.ts';
import { AdamW, cosineSchedule, type Optimizer, type Schedule, SGD } from '../../optim/index.ts';
import { crossEntropy } from '../../tensor/functions/index.ts';
import { jit, random, type Tensor, tensor, valueAndGrad } from '../../tensor/index.ts';
import { type Examples, errorsOf, examplesOf, shuffledBatches } from '../digits.ts';
import {
  type Experiment,
  figure,
  type Lab,
  note,
  type Progress,
  progress,
  row,
} from '../experiment.ts';
import { curveOf, mean, spreadText } from '../statistics.ts';

const SIDE = 16;
const AREA = SIDE * SIDE;
const PAPER_ERROR = 5.0;

/** One way to train the network. */
interface Recipe {
  readonly name: string;
  readonly passes: number;
  readonly batch: number;
  readonly network: () => LeNet1989;
  readonly optimizer: (network: LeNet1989) => Optimizer;
  readonly rate: Schedule | undefined;
  /** images [n, 1, 16, 16], labels [n] */
  readonly loss: (network: LeNet1989, images: Tensor, labels: Tensor) => Tensor;
  /** Whether the order is shuffled and images are shifted by up to a pixel. */
  readonly augment: boolean;
}

/** Inks from -1 to 1, as the paper has them. */
const ink = (pixel: number) => pixel / 127.5 - 1;

export const lecun1989: Experiment = {
  name: 'lecun1989',
  title: 'A network that reads zip codes (1989), and 33 years later',
  paper:
    'LeCun, Boser, Denker, Henderson, Howard, Hubbard, Jackel: Backpropagation applied to ' +
    'handwritten zip code recognition. Neural Computation 1(4), 1989. Modernised as in Karpathy: ' +
    'Deep neural nets, 33 years ago and 33 years from now, 2022.',
  claim:
    'A network of 9,760 parameters, trained by backpropagation on 7,291 digits for 23 passes, reads ' +
    '2,007 others with 5.0 % errors. What was found since (cross-entropy, AdamW, augmentation, ' +
    'dropout, ReLU) lowers the errors of the same network.',
  setting: [
    'Data: the 7,291 + 2,007 real zip-code digits (USPS), 16 x 16, inks from -1 to 1.',
    '1989: tanh, mean squared error to targets of +-1, SGD one digit at a time in constant order, ' +
      'rate 0.03, 23 passes (167,693 steps), first weights uniform within 2.4 / inputs as in the paper. ' +
      'The paper used a diagonal Newton method that sets a rate for each weight; the rate here is that ' +
      'of the reproduction of 2022.',
    'Modernised: ReLU, cross-entropy, AdamW (3e-3 falling to 0 by half a cosine, decay 0.05), batches ' +
      'of 16, shifts of up to one pixel, dropout of 0.25 below H3, first weights within 2.4 / sqrt(inputs), 60 passes.',
    'Errors are those after the last pass; nothing is chosen by the test digits.',
  ],
  seeds: 3,
  async *run(lab) {
    const train = examplesOf(await lab.data.digits('usps', 'train'), ink, lab.size(7291, 256));
    const test = examplesOf(await lab.data.digits('usps', 'test'), ink, lab.size(2007, 128));
    const old = yield* runs(lab, original(lab.size(23, 1)), train, test);
    const modern = yield* runs(lab, modernised(lab.size(60, 1), train.count), train, test);

    const last = (errors: readonly number[][]) => errors.map((run) => run.at(-1) as number);
    const misses = (rates: readonly number[]) => Math.round((mean(rates) / 100) * test.count);
    const [ours, now] = [last(old), last(modern)];
    const text = (rates: readonly number[]) => `${spreadText(rates, 2)} % (${misses(rates)})`;
    const parameters = original(1).network().parameterCount();
    yield row('parameters', '9,760', parameters.toLocaleString('en'), parameters === 9760);
    const near = Math.abs(mean(ours) - PAPER_ERROR) <= 1;
    yield row('test errors, 1989', '5.0 % (102)', text(ours), near);
    yield row(
      'test errors, modernised',
      '1.59 % (32), on scaled MNIST',
      text(now),
      mean(now) <= mean(ours),
    );
    yield note(
      'The row of 1989 holds where the mean is within one point of 5.0 %, the modernised one where ' +
        'it is no worse than that of 1989. The 1.59 % of 2022 is of other digits (MNIST, scaled to 16 ' +
        'x 16), which are easier: there the run of 1989 itself had 4.09 %.',
    );
    yield note(
      'The first weights matter: within 2.4 / sqrt(inputs), as in the reproduction of 2022, an ' +
        'earlier run of the same had 6.06 ± 0.25 % errors on these digits (seeds 1, 2, 3).',
    );
    const passes = (errors: readonly number[][]) => errors[0]?.map((_, i) => i + 1) ?? [];
    yield figure({
      title: 'Test errors by pass over the training digits',
      subtitle: `mean and range of ${lab.seeds.length} seeds`,
      x: { label: 'pass' },
      y: { label: 'test errors, %' },
      lines: [{ y: PAPER_ERROR, label: 'the paper, 5.0 %' }],
      series: [
        { name: 'as in 1989', ...curveOf(passes(old), old) },
        { name: 'modernised', ...curveOf(passes(modern), modern) },
      ],
    });
  },
};

function original(passes: number): Recipe {
  return {
    name: '1989',
    passes,
    batch: 1,
    network: () => new LeNet1989(),
    optimizer: (network) => new SGD(network.parameters(), { lr: 0.03 }),
    rate: undefined,
    loss: (network, images, labels) => network.loss(images, labels),
    augment: false,
  };
}

function modernised(passes: number, count: number): Recipe {
  const batch = 16;
  return {
    name: 'modernised',
    passes,
    batch,
    network: () => new LeNet1989({ activation: 'relu', dropout: 0.25 }),
    optimizer: (network) => {
      return new AdamW(network.parameters(), { weightDecay: 0.05, decays: 'matrices' });
    },
    rate: cosineSchedule({ peak: 3e-3, steps: passes * Math.floor(count / batch), floor: 0 }),
    loss: (network, images, labels) => crossEntropy(network.forward(images), labels),
    augment: true,
  };
}

/** Test errors in % after each pass, a list for each seed. */
async function* runs(
  lab: Lab,
  recipe: Recipe,
  train: Examples,
  test: Examples,
): AsyncGenerator<Progress, number[][], void> {
  const all: number[][] = [];
  for (const seed of lab.seeds) {
    random.seed(seed);
    const network = recipe.network();
    const optimizer = recipe.optimizer(network);
    const order = new SeededRandom(seed);
    const step = jit((x: Tensor, y: Tensor) => {
      const { value, grads } = valueAndGrad((m: LeNet1989) => {
        return recipe.loss(m, x, y);
      })(network);
      optimizer.update(grads);
      return value;
    });
    const forward = jit((x: Tensor) => network.forward(x));
    const errors: number[] = [];
    let done = 0;
    try {
      for (let pass = 1; pass <= recipe.passes; pass++) {
        let sum = 0;
        let steps = 0;
        for (const places of batches(recipe, train.count, order)) {
          lab.signal.throwIfAborted();
          if (recipe.rate) optimizer.setLearningRate(recipe.rate(done));
          const x = imagesOf(train, places, recipe.augment ? order : undefined);
          const y = tensor(Int32Array.from(places, (place) => train.labels[place] as number));
          const loss = await step(x, y);
          sum += await loss.item();
          for (const t of [x, y, loss]) t.dispose();
          steps++;
          done++;
        }
        network.eval();
        const wrong = await errorsOf(test, async (from, to) => {
          using images = imagesOf(test, span(from, to), undefined);
          return await forward(images);
        });
        network.train();
        errors.push((100 * wrong) / test.count);
        yield progress(
          `${recipe.name}, seed ${seed}: pass ${pass} of ${recipe.passes}, loss ` +
            `${(sum / steps).toFixed(4)}, test errors ${errors.at(-1)?.toFixed(2)} %`,
        );
      }
    } finally {
      step.dispose();
      forward.dispose();
      optimizer.dispose();
      network.dispose();
    }
    all.push(errors);
  }
  return all;
}

function* batches(
  { augment, batch }: Recipe,
  count: number,
  order: SeededRandom,
): Generator<number[], void, void> {
  if (augment) yield* shuffledBatches(count, batch, order);
  else for (let at = 0; at + batch <= count; at += batch) yield span(at, at + batch);
}

const span = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** Images [n, 1, 16, 16]; with `shifts` moved by up to a pixel over their background. */
function imagesOf(
  { inputs }: Examples,
  places: readonly number[],
  shifts: SeededRandom | undefined,
): Tensor {
  const images = new Float32Array(places.length * AREA).fill(-1);
  places.forEach((place, n) => {
    const down = shifts ? shifts.integer(3) - 1 : 0;
    const right = shifts ? shifts.integer(3) - 1 : 0;
    for (let r = Math.max(0, -down); r < SIDE - Math.max(0, down); r++) {
      const row = inputs.subarray(place * AREA + r * SIDE, place * AREA + (r + 1) * SIDE);
      const to = n * AREA + (r + down) * SIDE;
      images.set(
        row.subarray(Math.max(0, -right), SIDE - Math.max(0, right)),
        to + Math.max(0, right),
      );
    }
  });
  return tensor(images, { shape: [places.length, 1, SIDE, SIDE] });
}
