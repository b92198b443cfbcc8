export { isLoopback } from './access.ts';
export { type AppOptions, createApp } from './app.ts';
export { type PlainChat, QUESTIONS_AND_ANSWERS } from './conversation.ts';
export { ApiError } from './errors.ts';
export type { HealthOptions } from './health.ts';
export { DEFAULT_LIMITS, type Limits } from './limits.ts';
export { listen, requireFreePort } from './listen.ts';
export {
  type RunningServer,
  readPageFiles,
  type ServerOptions,
  startServer,
} from './node.ts';
export type { PageFile, PageFiles } from './page.ts';
export { PAGE_HEADERS } from './page-headers.ts';
