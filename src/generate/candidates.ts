/**
 * Selection among candidates without sorting them: a list of ids is cut at a pivot again and again
 * until the cut is where it should be (Hoare 1961), which takes time in proportion to their number.
 * Those that are kept come to the front, in no order.
 */

/** Whether id a comes before b: the larger value, of equal ones the lower id. */
function comesBefore(a: number, b: number, values: ArrayLike<number>): boolean {
  return values[a] > values[b] || (values[a] === values[b] && a < b);
}

/** The place of the middle one of three, which no sorted list makes a bad pivot. */
function middle(ids: Int32Array, from: number, to: number, values: ArrayLike<number>): number {
  const half = (from + to) >> 1;
  const before = (i: number, j: number) => comesBefore(ids[i], ids[j], values);
  const [first, second] = before(from, half) ? [from, half] : [half, from];
  if (before(second, to - 1)) return second;
  return before(first, to - 1) ? to - 1 : first;
}

function swap(ids: Int32Array, i: number, j: number): void {
  const id = ids[i];
  ids[i] = ids[j];
  ids[j] = id;
}

/** Puts a pivot of from .. to behind all that come before it; gives its place. */
function partition(ids: Int32Array, from: number, to: number, values: ArrayLike<number>): number {
  swap(ids, middle(ids, from, to, values), to - 1);
  const pivot = ids[to - 1];
  let place = from;
  for (let i = from; i < to - 1; i++) {
    if (comesBefore(ids[i], pivot, values)) swap(ids, i, place++);
  }
  swap(ids, place, to - 1);
  return place;
}

/** Keeps the `wanted` largest of `count` ids; gives their number. */
export function keepLikeliest(
  ids: Int32Array,
  count: number,
  values: ArrayLike<number>,
  wanted: number,
): number {
  let from = 0;
  let to = count;
  // The first `from` are kept, those from `to` on are not.
  while (from < wanted && wanted < to) {
    const place = partition(ids, from, to, values);
    if (place < wanted) from = place + 1;
    else to = place;
  }
  return Math.min(wanted, count);
}

/**
 * Keeps the fewest of `count` ids, those of the largest values first, whose weights reach `mass`;
 * gives their number.
 */
export function keepMass(
  ids: Int32Array,
  count: number,
  values: ArrayLike<number>,
  weights: Float64Array,
  mass: number,
): number {
  let from = 0;
  let to = count;
  let kept = 0;
  // The first `from` are kept and weigh `kept`, too little; the last that is needed is below `to`.
  while (to - from > 1) {
    const place = partition(ids, from, to, values);
    let sum = kept;
    for (let i = from; i < place; i++) sum += weights[ids[i]];
    if (sum >= mass) {
      to = Math.max(place, from + 1);
      continue;
    }
    kept = sum + weights[ids[place]];
    if (kept >= mass) return place + 1;
    from = place + 1;
  }
  return to;
}
