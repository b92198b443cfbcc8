import { AbsentPeer } from './absent.ts';
import { koffi, type NativeLibrary } from './koffi.ts';

/** Sizes of a product, and which operand lies in memory transposed. */
export interface Product {
  readonly batch?: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposed?: 'a' | 'b';
}

export interface OpenBlas {
  /** Name and version as the library tells them. */
  readonly version: string;
  /** c = a b on the threads it was opened with; batches one after the other. */
  readonly multiply: (p: Product, a: Float32Array, b: Float32Array, c: Float32Array) => void;
}

const NAMES = ['libopenblas.so.0', 'libopenblas.so', 'libopenblas.dylib', 'libopenblas.dll'];
const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const TRANSPOSE = 112;

/**
 * OpenBLAS through koffi.
 *
 * @throws AbsentPeer where either is not installed
 */
export function openOpenBlas(threads = 1): OpenBlas {
  const library = firstLibrary();
  library.func('void openblas_set_num_threads(int threads)')(threads);
  const version = String(library.func('const char *openblas_get_config()')()).trim();
  const sgemm = library.func(
    'void cblas_sgemm(int order, int transA, int transB, int m, int n, int k, float alpha, ' +
      'const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc)',
  );
  const multiply: OpenBlas['multiply'] = ({ batch = 1, m, n, k, transposed }, a, b, c) => {
    const left = transposed === 'a' ? TRANSPOSE : NO_TRANSPOSE;
    const right = transposed === 'b' ? TRANSPOSE : NO_TRANSPOSE;
    const lda = transposed === 'a' ? m : k;
    const ldb = transposed === 'b' ? k : n;
    for (let i = 0; i < batch; i++) {
      const [x, y, z] =
        batch === 1 ? [a, b, c] : [part(a, i, m * k), part(b, i, k * n), part(c, i, m * n)];
      sgemm(ROW_MAJOR, left, right, m, n, k, 1, x, lda, y, ldb, 0, z, n);
    }
  };
  return { version, multiply };
}

function part(array: Float32Array, index: number, size: number): Float32Array {
  return array.subarray(index * size, (index + 1) * size);
}

function firstLibrary(): NativeLibrary {
  const native = koffi();
  if (!native) throw new AbsentPeer('openblas', 'koffi is not installed', 'npm ci installs it');
  for (const name of NAMES) {
    try {
      return native.load(name);
    } catch {
      // Not under this name.
    }
  }
  throw new AbsentPeer(
    'openblas',
    `there is no ${NAMES[0]}`,
    'apt install libopenblas0-pthread, or what your system calls it',
  );
}
