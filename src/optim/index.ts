export { AdamW, type AdamWOptions } from './adamw.ts';
export { clipByGlobalNorm, globalNorm } from './clip.ts';
export { cosineSchedule, type Schedule } from './schedules.ts';
