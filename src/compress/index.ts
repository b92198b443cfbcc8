export { type CompressOptions, compressModel, type LayerReport } from './compress.ts';
export { reportPage } from './page.ts';
export { type Choice, type PlanOptions, planCompression, SCHEMES, type Scheme } from './plan.ts';
export {
  type CompressionReport,
  layerRows,
  type Measured,
  megabytes,
  summaryRows,
  verdict,
} from './report.ts';
export { bytesOf, type ModelSize, modelSize } from './size.ts';
