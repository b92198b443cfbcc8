/**
 * The candidate that a misspelt name most likely meant: the one fewest edits away, where that is at
 * most a third of its letters (and one edit at least is allowed); undefined where none is so near.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const edits = distance(plain(name), plain(candidate));
    if (edits < least && edits <= Math.max(1, Math.floor(candidate.length / 3))) {
      best = candidate;
      least = edits;
    }
  }
  return best;
}

/** Spellings that differ only in case and in what joins the words are the same name. */
function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Damerau's distance: letters put in, left out, replaced, or two neighbours swapped. */
function distance(a: string, b: string): number {
  let above: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + Number(a[i - 1] !== b[j - 1]);
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = i > 1 && j > 1 && isSwap ? (above[j - 2] as number) + 1 : replaced;
      const [less, more] = [(row[j] as number) + 1, (next[j - 1] as number) + 1];
      next.push(Math.min(replaced, swapped, less, more));
    }
    above = row;
    row = next;
  }
  return row[b.length] as number;
}

/**
 * An error for a name that is not among those known: shows it, the nearest one, and all of them.
 *
 * @param where what refuses it; @param what the kind of name, for the message
 */
export function unknownName(
  where: string,
  what: string,
  name: string,
  known: readonly string[],
): Error {
  const near = nearestName(name, known);
  const hint = near === undefined ? '' : ` (did you mean ${JSON.stringify(near)}?)`;
  return new TypeError(
    `${where}: unknown ${what} ${JSON.stringify(name)}${hint}; expected one of ${known.join(', ')}`,
  );
}
