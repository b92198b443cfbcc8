/** The bytes of an idx file of unsigned bytes. */
export function idxFile(shape: readonly number[], data: ArrayLike<number>): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + data.length);
  file.set([0, 0, 8, shape.length]);
  const view = new DataView(file.buffer);
  shape.forEach((size, i) => {
    view.setUint32(4 + 4 * i, size);
  });
  file.set(Array.from(data), 4 + 4 * shape.length);
  return file;
}
