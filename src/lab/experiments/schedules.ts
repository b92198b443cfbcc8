import {
  AdamW,
  constantSchedule,
  cosineSchedule,
  type Schedule,
  wsdSchedule,
} from '../../optim/index.ts';
import { random } from '../../tensor/index.ts';
import { charactersOf, smallTransformer, smoothed, trainCharacters } from '../characters.ts';
import { type Experiment, figure, note, progress, row } from '../experiment.ts';
import { curveOf, mean, spreadText } from '../statistics.ts';

const BATCH = 16;
const SEQUENCE = 64;
const RATES = [2e-3, 5e-3, 1e-2, 2e-2];
const SMOOTH = 10;

/** Each for a peak and a number of steps. */
const SCHEDULES: Readonly<Record<string, (peak: number, steps: number) => Schedule>> = {
  constant: (lr) => constantSchedule({ lr }),
  'warm-up and cosine': (peak, steps) =>
    cosineSchedule({ peak, steps, warmup: Math.ceil(0.05 * steps), floor: 0 }),
  'warm-up, stable, decay': (lr, steps) => {
    const warmup = Math.ceil(0.05 * steps);
    const decay = Math.ceil(0.3 * steps);
    return wsdSchedule({ lr, warmup, stable: steps - warmup - decay, decay, down: '1-sqrt' });
  },
};

export const schedules: Experiment = {
  name: 'schedules',
  title: 'A rate that falls to nothing beats the best constant one',
  paper:
    'Loshchilov, Hutter: SGDR, stochastic gradient descent with warm restarts. ICLR 2017. ' +
    'Hu et al.: MiniCPM (warm-up, stable, decay). 2024.',
  claim:
    'Annealing the learning rate lowers the final loss below that of the best constant rate. Here: ' +
    'warm-up and cosine, and warm-up, stable, decay, in at least 4 of 5 seeds.',
  setting: [
    'The text of Shakespeare as characters, a tenth held out; a llama of 2 layers of width 64 (0.1 M ' +
      'parameters), AdamW, 16 x 64 characters a step, 200 steps, gradients clipped to a norm of 1.',
    'The rate of the constant, and the peak of cosine, are the best of 2e-3, 5e-3, 1e-2 and 2e-2 by ' +
      'the held-out loss of the first seed; warm-up, stable, decay takes the peak of cosine.',
    'Warm-up is 5 % of the steps, the last decay 30 % (1 - sqrt).',
  ],
  seeds: 5,
  async *run(lab) {
    const characters = await charactersOf(lab);
    const steps = lab.size(200, 4);
    const run = async (seed: number, rate: Schedule) => {
      random.seed(seed);
      const model = smallTransformer(characters.vocabulary, SEQUENCE);
      const optimizer = new AdamW(model.parameters(), { decays: 'matrices' });
      const sizes = { steps, batch: BATCH, sequence: SEQUENCE };
      return trainCharacters({
        model,
        optimizer,
        characters,
        rate,
        seed,
        ...sizes,
        signal: lab.signal,
      });
    };
    const results: { name: string; validations: number[]; curves: number[][] }[] = [];
    let peak = 0;
    for (const [name, make] of Object.entries(SCHEDULES)) {
      if (name !== 'warm-up, stable, decay') {
        let least = Number.POSITIVE_INFINITY;
        for (const rate of RATES) {
          const { validation } = await run(lab.seeds[0] as number, make(rate, steps));
          yield progress(`${name}, ${rate}: held-out loss ${validation.toFixed(3)}`);
          if (validation < least) [least, peak] = [validation, rate];
        }
      }
      const result = {
        name: `${name}, ${peak}`,
        validations: [] as number[],
        curves: [] as number[][],
      };
      for (const seed of lab.seeds) {
        const { validation, losses } = await run(seed, make(peak, steps));
        yield progress(`${name}, seed ${seed}: held-out loss ${validation.toFixed(3)}`);
        result.validations.push(validation);
        result.curves.push(smoothed(losses, SMOOTH));
      }
      results.push(result);
    }
    const [constant, ...annealed] = results as [(typeof results)[0], ...typeof results];
    yield row(`held-out loss, ${constant.name}`, '-', spreadText(constant.validations, 3));
    for (const { name, validations } of annealed) {
      const better = validations.filter(
        (loss, i) => loss < (constant.validations[i] as number),
      ).length;
      const gain = mean(constant.validations) - mean(validations);
      yield row(
        `held-out loss, ${name}`,
        'lower than the best constant',
        `${spreadText(validations, 3)} (by ${gain.toFixed(3)}, in ${better} of ${validations.length} seeds)`,
        better >= 0.8 * validations.length,
      );
    }
    yield note('Losses are in nats a character. The figure shows training losses.');
    const stepsAt = constant.curves[0]?.map((_, i) => (i + 1) * SMOOTH) ?? [];
    yield figure({
      title: 'Training loss by step',
      subtitle: `mean and range of ${lab.seeds.length} seeds, each point ${SMOOTH} steps`,
      x: { label: 'step' },
      y: { label: 'loss, nats a character' },
      series: results.map(({ name, curves }) => ({ name, ...curveOf(stepsAt, curves) })),
    });
  },
};
