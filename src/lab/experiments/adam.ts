import { Adam, type Optimizer, SGD } from '../../optim/index.ts';
import { random } from '../../tensor/index.ts';
import { charactersOf, smallTransformer, smoothed, trainCharacters } from '../characters.ts';
import { type Experiment, figure, note, progress, row } from '../experiment.ts';
import { curveOf, mean, spreadText } from '../statistics.ts';

const BATCH = 16;
const SEQUENCE = 64;
const SMOOTH = 10;

type Model = ReturnType<typeof smallTransformer>;

const METHODS: readonly {
  readonly name: string;
  readonly rates: readonly number[];
  readonly make: (model: Model, lr: number) => Optimizer;
}[] = [
  {
    name: 'SGD with momentum 0.9',
    rates: [0.03, 0.1, 0.3, 1],
    make: (model, lr) => new SGD(model.parameters(), { lr, momentum: 0.9 }),
  },
  {
    name: 'Adam',
    rates: [1e-3, 3e-3, 1e-2, 3e-2],
    make: (model, lr) => new Adam(model.parameters(), { lr }),
  },
];

export const adam: Experiment = {
  name: 'adam',
  title: 'Adam beats tuned SGD with momentum on a transformer',
  paper: 'Kingma, Ba: Adam, a method for stochastic optimization. ICLR 2015.',
  claim:
    'Steps scaled by running moments of each gradient reach a lower loss than tuned SGD with momentum ' +
    'in the same number of steps. Here: on a small transformer of characters.',
  setting: [
    'The text of Shakespeare as characters, a tenth held out; a llama of 2 layers of width 64 (0.1 M ' +
      'parameters), 16 x 64 characters a step, 250 steps, gradients clipped to a norm of 1, constant rates.',
    'The rate of each method is the best of four (SGD: 0.03 to 1, Adam: 1e-3 to 3e-2) by the ' +
      'held-out loss of the first seed.',
  ],
  seeds: 3,
  async *run(lab) {
    const characters = await charactersOf(lab);
    const steps = lab.size(250, 4);
    const results: { name: string; validations: number[]; curves: number[][] }[] = [];
    for (const { name, rates, make } of METHODS) {
      const run = async (seed: number, lr: number) => {
        random.seed(seed);
        const model = smallTransformer(characters.vocabulary, SEQUENCE);
        const optimizer = make(model, lr);
        const sizes = { steps, batch: BATCH, sequence: SEQUENCE };
        return trainCharacters({
          model,
          optimizer,
          characters,
          seed,
          ...sizes,
          signal: lab.signal,
        });
      };
      let best = { lr: 0, validation: Number.POSITIVE_INFINITY, losses: [] as readonly number[] };
      for (const lr of rates) {
        const { validation, losses } = await run(lab.seeds[0] as number, lr);
        yield progress(`${name}, rate ${lr}: held-out loss ${validation.toFixed(3)}`);
        if (validation < best.validation) best = { lr, validation, losses };
      }
      const result = {
        name: `${name}, rate ${best.lr}`,
        validations: [best.validation],
        curves: [smoothed(best.losses, SMOOTH)],
      };
      for (const seed of lab.seeds.slice(1)) {
        const { validation, losses } = await run(seed, best.lr);
        yield progress(`${name}, seed ${seed}: held-out loss ${validation.toFixed(3)}`);
        result.validations.push(validation);
        result.curves.push(smoothed(losses, SMOOTH));
      }
      results.push(result);
    }
    for (const { name, validations } of results) {
      yield row(`held-out loss, ${name}`, '-', spreadText(validations, 3));
    }
    const [sgd, ours] = results.map(({ validations }) => validations) as [number[], number[]];
    const better = ours.filter((loss, i) => loss < (sgd[i] as number)).length;
    yield row(
      'Adam is better at equal steps',
      'yes',
      `by ${(mean(sgd) - mean(ours)).toFixed(3)} nats, in ${better} of ${ours.length} seeds`,
      mean(ours) < mean(sgd),
    );
    yield note(
      'Losses are in nats a character. A longer run or a schedule would lower both; the figure shows ' +
        'training losses.',
    );
    const stepsAt = results[0]?.curves[0]?.map((_, i) => (i + 1) * SMOOTH) ?? [];
    yield figure({
      title: 'Training loss by step',
      subtitle: `mean and range of ${lab.seeds.length} seeds, each point ${SMOOTH} steps`,
      x: { label: 'step' },
      y: { label: 'loss, nats a character' },
      series: results.map(({ name, curves }) => ({ name, ...curveOf(stepsAt, curves) })),
    });
  },
};
