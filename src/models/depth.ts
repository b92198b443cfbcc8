import { badArgument } from '../base/errors.ts';

/** The sizes of a transformer that follow from its depth. */
export interface DepthSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
}

/**
 * One dial for the size of a model: each layer adds 64 to the width, as in Karpathy's nanochat, in
 * heads of 64. Depth 12 is the smallest GPT-2, and nanoGPT's default.
 *
 * @param depth layers, an integer >= 1
 */
export function sizesOfDepth(depth: number): DepthSizes {
  if (!Number.isInteger(depth) || depth < 1) {
    throw badArgument('sizesOfDepth', 'depth', depth, 'an integer >= 1');
  }
  return { layers: depth, width: 64 * depth, heads: depth };
}
