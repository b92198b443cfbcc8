export {
  celu,
  elu,
  glu,
  hardsigmoid,
  hardswish,
  hardtanh,
  leakyRelu,
  logSigmoid,
  mish,
  relu6,
  reluSquared,
  selu,
  softplus,
  softsign,
  swiglu,
} from './activations.ts';
export { adaptiveAvgPool1d, adaptiveAvgPool2d } from './adaptive-pooling.ts';
export {
  type AttentionOptions,
  type PagedAttentionOptions,
  pagedAttention,
  scaledDotProductAttention,
} from './attention.ts';
export { castSaturating } from './cast.ts';
export { embedding, oneHot } from './categorical.ts';
export {
  type ConvolutionOptions,
  conv1d,
  conv2d,
  convTranspose1d,
  convTranspose2d,
  type TransposedConvolutionOptions,
} from './convolution.ts';
export {
  type ClassLossOptions,
  type CrossEntropyOptions,
  crossEntropy,
  nllLoss,
} from './cross-entropy.ts';
export { type DropoutOptions, dropout } from './dropout.ts';
export { einsum } from './einsum.ts';
export { diag, diagEmbed, diff, meshgrid, outer } from './grids.ts';
export { col2im, im2col, type PatchOptions } from './im2col.ts';
export {
  bceWithLogits,
  huberLoss,
  klDiv,
  type LossOptions,
  l1Loss,
  mseLoss,
  smoothL1Loss,
} from './losses.ts';
export {
  cosineEmbeddingLoss,
  cosineSimilarity,
  hingeEmbeddingLoss,
  hingeLoss,
  type MarginOptions,
  marginRankingLoss,
  multiMarginLoss,
  pairwiseDistance,
  softMarginLoss,
  tripletMarginLoss,
} from './margin-losses.ts';
export {
  type BatchNormOptions,
  type BatchStatistics,
  batchNorm,
  type GroupNormOptions,
  groupNorm,
  type LayerNormOptions,
  layerNorm,
  type RmsNormOptions,
  rmsNorm,
} from './normalization.ts';
export { packedLinear, packedValues } from './packed-linear.ts';
export {
  fromPanels,
  type PackedMatrix,
  type PlainCodes,
  panelScales,
  requirePanels,
  toPanels,
} from './packed-panels.ts';
export {
  type AveragePoolOptions,
  avgPool1d,
  avgPool2d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool1dWithIndices,
  maxPool2d,
  maxPool2dWithIndices,
  type PoolOptions,
  type WithIndices,
} from './pooling.ts';

export { binaryCrossEntropy, gaussianNllLoss, poissonNllLoss } from './probability-losses.ts';

export { type Interpolation, nanquantile, type QuantileOptions, quantile } from './quantiles.ts';

export {
  dequantize,
  type Quantized,
  type QuantizeOptions,
  type QuantSchemeName,
  quantize,
  quantScheme,
} from './quantization.ts';

export type { Reduction } from './reduction.ts';
export { type RopeOptions, rope } from './rope.ts';
export { bincount, bucketize, histc, isin, searchsorted } from './searching.ts';
export { type Distinct, maskedScatter, maskedSelect, nonzero, unique } from './selection.ts';
export { diagonal, movedim, type PadMode, pad, roll, trace, unfold } from './shape.ts';
export type { PerAxis } from './spatial.ts';
