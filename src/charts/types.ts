/** A figure of numbers against numbers, drawn as SVG. */
export interface Chart {
  readonly title: string;
  readonly subtitle?: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Reference values: horizontal lines with a label. */
  readonly lines?: readonly { readonly y: number; readonly label: string }[];
  readonly width?: number;
  readonly height?: number;
}

export interface Axis {
  readonly label: string;
  readonly scale?: 'linear' | 'log';
  /** Ends of the axis (default: those of the data). */
  readonly domain?: readonly [number, number];
}

/** Points under a name; every series gets its own colour and stands in the legend. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Default: line. */
  readonly mark?: 'line' | 'dots' | 'line+dots';
  /** Lower and upper ends by point, drawn as a band (spread over seeds). */
  readonly band?: readonly (readonly [low: number, high: number])[];
}

/** Numbers by name, drawn as horizontal bars. */
export interface BarChart {
  readonly title: string;
  readonly subtitle?: string;
  /** What the numbers are, with their unit. */
  readonly label: string;
  readonly bars: readonly {
    readonly name: string;
    readonly value: number;
    readonly group?: string;
  }[];
  readonly width?: number;
}
