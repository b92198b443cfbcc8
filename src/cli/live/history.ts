import type { TrainingProgress } from '../../train/index.ts';

/** Points that a page which is opened late gets at most. */
const MOST = 4000;

/**
 * The steps of a run, thinned out as it goes on: when there are too many every second one goes, but
 * for those with a measurement. However long a run is, a page is filled at once.
 */
export class History {
  #points: TrainingProgress[] = [];
  #every = 1;

  get points(): readonly TrainingProgress[] {
    return this.#points;
  }

  add(progress: TrainingProgress): void {
    if (!this.#isKept(progress)) return;
    this.#points.push(progress);
    if (this.#points.length <= MOST) return;
    this.#every *= 2;
    this.#points = this.#points.filter((point) => this.#isKept(point));
  }

  #isKept({ step, validationLoss }: TrainingProgress): boolean {
    return step % this.#every === 0 || validationLoss !== undefined;
  }
}
