/** Orders of the lanes of two vectors: those that machines have instructions for, and any. */
export function shufflePlaces(lanes: number, seed: number): number[] {
  const order = (place: (lane: number) => number) =>
    Array.from({ length: lanes }, (_, l) => place(l) % (2 * lanes));
  const by = Math.floor(seed / 10);
  const half = lanes / 2;
  switch (seed % 10) {
    case 0:
      return order((l) => lanes - 1 - l);
    case 1:
      return order((l) => l + by);
    case 2:
      return order((l) => (l % 2 === 0 ? l / 2 : lanes + (l - 1) / 2));
    case 3:
      return order((l) => (l % 2 === 0 ? half + l / 2 : lanes + half + (l - 1) / 2));
    case 4:
      return order(() => by);
    case 5:
      return order((l) => 2 * l + (by % 2));
    case 6:
      return order((l) => l ^ (by % lanes));
    case 7:
      return order((l) => lanes + (l ^ (by % lanes)));
    case 8:
      return order((l) => (l < half ? l : lanes + l - half));
    default: {
      let state = by + 1;
      return order(() => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return state >>> 16;
      });
    }
  }
}
