/** Shows a value in an error message: short, on one line. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (Array.isArray(value)) {
    const items = value.slice(0, 8).map(show);
    return `[${items.join(', ')}${value.length > 8 ? `, ... ${value.length} items` : ''}]`;
  }
  if (typeof value === 'object' && value !== null) return value.constructor?.name ?? 'object';
  return String(value);
}

/** An argument that cannot be used: names it, shows it, says what was expected. */
export function badArgument(where: string, name: string, value: unknown, expected: string): Error {
  return new TypeError(`${where}: ${name} is ${show(value)}; expected ${expected}`);
}

/** A broken promise between rooms of this library; never the user's fault. */
export class InternalError extends Error {
  override readonly name = 'InternalError';
  constructor(message: string) {
    super(
      `${message} (this is a defect of tersor: please report it with the graph, TERSOR_DEBUG=4)`,
    );
  }
}

/** A program whose arrays are more than its device can address; found before it is run. */
export class TooLargeError extends RangeError {
  override readonly name = 'TooLargeError';
  /** Bytes that it takes at once. */
  readonly bytes: number;

  constructor(bytes: number, limit: number) {
    const size = (n: number) => `${(n / 2 ** 30).toFixed(2)} GiB`;
    super(
      `the intermediates of this program take ${size(bytes)} at once; expected at most ` +
        `${size(limit)}, what the device can address: make batch, sequence or model smaller`,
    );
    this.bytes = bytes;
  }
}

/** The end of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new InternalError(`unexpected ${show(value)}`);
}
