export { chainedSchedule, sequentialSchedule, withWarmup } from './compose.ts';
export { cosineAnnealing, cosineRestarts, cosineSchedule } from './cosine.ts';
export { cyclic, oneCycle } from './cycles.ts';
export {
  constantSchedule,
  exponentialSchedule,
  inverseSqrtSchedule,
  linearSchedule,
  multiStepSchedule,
  polynomialSchedule,
  stepSchedule,
} from './decays.ts';
export {
  type MadeSchedule,
  makeSchedule,
  SCHEDULE_NAMES,
  type ScheduleSpec,
} from './make.ts';
export { type PlateauOptions, type PlateauState, ReduceOnPlateau } from './plateau.ts';
export type { Cycle, Schedule } from './schedule.ts';
export {
  constantWithWarmup,
  cosineRestartsWithWarmup,
  cosineWithWarmup,
  inverseSqrtWithWarmup,
  linearWithWarmup,
  polynomialWithWarmup,
} from './transformers.ts';
export { wsdSchedule } from './wsd.ts';
