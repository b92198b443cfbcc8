export { type Perplexity, type PerplexityOptions, perplexity } from './perplexity.ts';
export { measureSpeed, type Speed, type SpeedOptions } from './speed.ts';
export { PROTOCOLS, type Protocol, type Window, windowsOf } from './windows.ts';
