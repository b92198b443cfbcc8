/** A part of a tokenizer file: a type and what belongs to it. */
export type Part = Readonly<Record<string, unknown>>;

export function isId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

/** Reads the fields of a JSON file and names file and field where one is not what it should be. */
export class Fields {
  readonly #file: string;

  /** @param file as it is named in errors */
  constructor(file: string) {
    this.#file = file;
  }

  /** @throws Error for text that is no JSON object */
  parse(text: string): Part {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new Error(
        `${this.#file} is not JSON: ${(error as Error).message}. Get the file again; it may be ` +
          'cut off.',
      );
    }
    return this.part(value, '');
  }

  part(value: unknown, field: string): Part {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      this.fail(field, value, 'an object');
    }
    return value as Part;
  }

  /** A part that may be missing or null. */
  optionalPart(value: unknown, field: string): Part | undefined {
    return value === undefined || value === null ? undefined : this.part(value, field);
  }

  list(value: unknown, field: string): readonly unknown[] {
    if (!Array.isArray(value)) this.fail(field, value, 'a list');
    return value as readonly unknown[];
  }

  text(value: unknown, field: string): string {
    if (typeof value !== 'string') this.fail(field, value, 'a text');
    return value as string;
  }

  id(value: unknown, field: string): number {
    return isId(value) ? value : this.fail(field, value, 'a token id, an integer from 0 on');
  }

  /** A flag; `fallback` where it is missing. */
  flag(value: unknown, field: string, fallback: boolean): boolean {
    if (value === undefined || value === null) return fallback;
    if (typeof value !== 'boolean') this.fail(field, value, 'true or false');
    return value as boolean;
  }

  /** @throws Error always: the field is not what was expected */
  fail(field: string, value: unknown, expected: string): never {
    const shown = JSON.stringify(value) ?? 'missing';
    const short = shown.length <= 80 ? shown : `${shown.slice(0, 77)}...`;
    const where = field === '' ? this.#file : `${this.#file}: ${field}`;
    throw new Error(`${where} is ${short}; expected ${expected}. Check or replace the file.`);
  }
}
