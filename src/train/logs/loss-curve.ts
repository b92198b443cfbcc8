import { lineChart } from '../../charts/index.ts';
import type { TrainingProgress } from '../progress.ts';

/** Points of a curve; more cannot be seen. */
const POINTS = 500;

/** The losses of a run as an SVG file: means over stretches of steps, and measurements. */
export function lossCurve(metrics: readonly TrainingProgress[], title: string): Promise<string> {
  const stretch = Math.max(1, Math.ceil(metrics.length / POINTS));
  const means: [number, number][] = [];
  for (let i = 0; i < metrics.length; i += stretch) {
    const part = metrics.slice(i, i + stretch);
    const mean = part.reduce((sum, { loss }) => sum + loss, 0) / part.length;
    means.push([part[part.length - 1]?.step ?? 0, mean]);
  }
  const measured = metrics.flatMap(({ step, validationLoss }): [number, number][] =>
    validationLoss === undefined ? [] : [[step, validationLoss]],
  );
  return lineChart({
    title,
    subtitle:
      stretch > 1 ? `Each point is the mean of ${stretch} steps` : 'One point for each step',
    x: { label: 'step' },
    y: { label: 'loss (nats per token)' },
    series: [
      { name: 'training', points: means },
      ...(measured.length > 0
        ? [{ name: 'validation', points: measured, mark: 'line+dots' as const }]
        : []),
    ],
  });
}
