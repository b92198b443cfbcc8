/** The largest divisor of a size that is at most `most`; 1 where there is no other. */
export function largestDivisor(size: number, most: number): number {
  for (let divisor = Math.min(size, most); divisor > 1; divisor--) {
    if (size % divisor === 0) return divisor;
  }
  return 1;
}
