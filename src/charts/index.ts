export { barChart } from './bar-chart.ts';
export { lineChart } from './line-chart.ts';
export type { Axis, BarChart, Chart, Series } from './types.ts';
