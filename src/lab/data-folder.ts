import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type IdxArray, readIdx } from '../data/idx.ts';
import { readTextFile } from '../data/text-file.ts';

/** A file of the data folder, and what must be in it. */
interface DataFile {
  readonly path: string;
  readonly format: string;
}

const digits = (folder: string, name: string, what: string, count: number, side: number) => ({
  images: {
    path: join(folder, `${name}-images-idx3-ubyte.gz`),
    format: `${what}: idx of unsigned bytes [${count}, ${side}, ${side}], ink is high, gzip or plain`,
  },
  labels: {
    path: join(folder, `${name}-labels-idx1-ubyte.gz`),
    format: `their digits: idx of unsigned bytes [${count}], gzip or plain`,
  },
});

const SETS = {
  mnist: {
    train: digits('mnist', 'train', 'the MNIST training images', 60000, 28),
    test: digits('mnist', 't10k', 'the MNIST test images', 10000, 28),
  },
  usps: {
    train: digits('usps', 'usps-train', 'the zip-code digits of training', 7291, 16),
    test: digits('usps', 'usps-test', 'the zip-code digits of the test', 2007, 16),
  },
} as const;

const SHAKESPEARE: DataFile = {
  path: join('text', 'tinyshakespeare.txt'),
  format: "Karpathy's tinyshakespeare, UTF-8 text of 1,115,394 characters",
};

export type DigitSetName = keyof typeof SETS;

export interface Digits {
  readonly images: IdxArray;
  readonly labels: Uint8Array;
}

/** A folder of public data sets: mnist/, usps/ and text/ in it. Nothing is downloaded. */
export class DataFolder {
  readonly #root: string | undefined;

  /** @param root undefined where nobody has named one: asking for data then says so */
  constructor(root: string | undefined) {
    this.#root = root;
  }

  /** Images and labels of one part of a set of digits. */
  async digits(name: DigitSetName, part: 'train' | 'test'): Promise<Digits> {
    const { images, labels } = SETS[name][part];
    const [pictures, digits] = [await this.#idx(images), await this.#idx(labels)];
    const count = pictures.shape[0];
    if (pictures.shape.length !== 3 || digits.shape.length !== 1 || digits.shape[0] !== count) {
      throw new RangeError(
        `${images.path} has shape [${pictures.shape}] and ${labels.path} [${digits.shape}]; ` +
          'expected images [n, height, width] and labels [n]',
      );
    }
    return { images: pictures, labels: digits.data };
  }

  /** The text of Karpathy's tinyshakespeare. */
  async shakespeare(): Promise<string> {
    return readTextFile(this.#find(SHAKESPEARE));
  }

  /** Reads FILE.gz, or FILE where it lies there unpacked. */
  async #idx(file: DataFile): Promise<IdxArray> {
    return readIdx(this.#find(file, file.path.replace(/\.gz$/, '')));
  }

  #find({ path, format }: DataFile, other = path): string {
    if (this.#root === undefined) {
      throw new Error(
        `this experiment reads ${path} (${format}), but no folder of data is named; pass ` +
          '--data DIR or set TERSOR_DATA to a folder with mnist/, usps/ and text/ in it',
      );
    }
    for (const candidate of [path, other]) {
      const full = join(this.#root, candidate);
      if (existsSync(full)) return full;
    }
    throw new Error(
      `no file ${join(this.#root, path)}; expected ${format}. Put it there, or name another ` +
        'folder by --data or TERSOR_DATA',
    );
  }
}
