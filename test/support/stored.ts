const ARRAYS = {
  F32: Float32Array,
  I32: Int32Array,
  U16: Uint16Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
  I8: Int8Array,
} as const;

export type StoredType = keyof typeof ARRAYS;
export type StoredArray = InstanceType<(typeof ARRAYS)[StoredType]>;

/** A tensor of a safetensors file; 16-bit floats are raw bits. */
export interface Stored {
  readonly type: StoredType;
  readonly shape: readonly number[];
  readonly data: StoredArray;
}

interface Entry {
  readonly dtype: StoredType;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

/** The tensors of a safetensors file, by name. Runs in a browser, too. */
export function parseSafetensors(file: Uint8Array): ReadonlyMap<string, Stored> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  const header = JSON.parse(text) as Record<string, Entry>;
  const tensors = new Map<string, Stored>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const Class = ARRAYS[dtype];
    if (!Class)
      throw new TypeError(`safetensors: ${name} is ${dtype}; expected ${Object.keys(ARRAYS)}`);
    const [start, end] = data_offsets.map((offset) => 8 + length + offset);
    // A copy, since nothing aligns the file's tensors.
    const bytes = new Uint8Array(file.subarray(start, end));
    tensors.set(name, { type: dtype, shape, data: new Class(bytes.buffer) });
  }
  return tensors;
}

/** How near a result must come to what is wanted. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
  /** -0 and +0 differ. */
  readonly zeroSign?: boolean;
}

/** |got - want| <= atol + rtol |want|; NaN meets NaN, an infinity meets the same infinity. */
export function agrees(got: number, want: number, { rtol, atol, zeroSign }: Tolerance): boolean {
  if (Number.isNaN(want)) return Number.isNaN(got);
  if (got === want) return !zeroSign || got !== 0 || Object.is(got, want);
  if (!Number.isFinite(want)) return false;
  return Math.abs(got - want) <= atol + rtol * Math.abs(want);
}

/** Says where two arrays disagree, or nothing where they agree. */
export function difference(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  tolerance: Tolerance,
): string | undefined {
  if (got.length !== want.length) return `${got.length} elements; expected ${want.length}`;
  const wrong: number[] = [];
  for (let i = 0; i < want.length; i++) if (!agrees(got[i], want[i], tolerance)) wrong.push(i);
  if (wrong.length === 0) return undefined;
  const number = (x: number) => (Object.is(x, -0) ? '-0' : String(x));
  const shown = wrong
    .slice(0, 4)
    .map((i) => `[${i}] ${number(got[i])}; expected ${number(want[i])}`);
  const { rtol, atol } = tolerance;
  const limits = `(rtol ${rtol}, atol ${atol})`;
  return `${wrong.length} of ${want.length} differ ${limits}: ${shown.join(', ')}`;
}
