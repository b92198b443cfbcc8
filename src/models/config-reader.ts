/** What a JSON value can be. */
type Json = unknown;

/**
 * Reads the keys of a config.json one by one. Every error names the key, shows its value and says
 * what was expected.
 */
export class ConfigReader {
  readonly json: Readonly<Record<string, Json>>;
  readonly #prefix: string;

  /** @param prefix of the keys in messages */
  constructor(json: unknown, prefix = '') {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new Error(`${prefix || 'it'} is ${shown(json)}; expected a JSON object`);
    }
    this.json = json as Record<string, Json>;
    this.#prefix = prefix && `${prefix}.`;
  }

  /** Null counts as missing, as in the files that transformers writes. */
  has(key: string): boolean {
    return (this.json[key] ?? null) !== null;
  }

  /** An integer >= 1. */
  count(key: string, missing?: number): number {
    return this.#read(key, missing, 'an integer >= 1', (v): v is number => {
      return Number.isSafeInteger(v) && (v as number) >= 1;
    });
  }

  /** A number > 0. */
  positive(key: string, missing?: number): number {
    return this.#read(key, missing, 'a number > 0', (v): v is number => {
      return typeof v === 'number' && v > 0 && Number.isFinite(v);
    });
  }

  flag(key: string, missing?: boolean): boolean {
    return this.#read(key, missing, 'true or false', (v): v is boolean => typeof v === 'boolean');
  }

  oneOf<T extends string>(key: string, values: readonly T[], missing?: T): T {
    const expected = values.map((v) => JSON.stringify(v)).join(' or ');
    return this.#read(key, missing, expected, (v): v is T => values.includes(v as T));
  }

  list(key: string): readonly Json[] | undefined {
    if (!this.has(key)) return undefined;
    return this.#read(key, undefined, 'a list', (v): v is Json[] => Array.isArray(v));
  }

  object(key: string): ConfigReader | undefined {
    return this.has(key) ? new ConfigReader(this.json[key], `${this.#prefix}${key}`) : undefined;
  }

  /** Refuses a key that would change the mathematics, unless it has one of these values (or none). */
  only(key: string, ...allowed: readonly Json[]): void {
    if (!this.has(key) || allowed.includes(this.json[key])) return;
    const expected = allowed.length === 0 ? ['none'] : allowed.map(shown);
    throw this.unsupported(key, expected.join(' or '));
  }

  unsupported(key: string, expected: string): Error {
    return new Error(
      `${this.#prefix}${key} is ${shown(this.json[key])}, which is not supported; expected ${expected}`,
    );
  }

  #read<T>(
    key: string,
    missing: T | undefined,
    expected: string,
    fits: (value: Json) => value is T,
  ): T {
    if (!this.has(key) && missing !== undefined) return missing;
    const value = this.json[key];
    if (fits(value)) return value;
    throw new Error(`${this.#prefix}${key} is ${shown(value)}; expected ${expected}`);
  }
}

function shown(value: Json): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length <= 100 ? text : `${text.slice(0, 97)}...`;
}
