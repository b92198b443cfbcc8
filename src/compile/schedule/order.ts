/** What the order of kernels is chosen by. Nodes are named by their ids. */
export interface Task {
  /** Scratch that it fills, in bytes by node. */
  readonly fills: ReadonlyMap<number, number>;
  /** Nodes that it reads. */
  readonly reads: ReadonlySet<number>;
  /** Tasks (by number, all of them earlier) that must come before it. */
  readonly after: ReadonlySet<number>;
}

/**
 * The order in which kernels run: as given, but one that frees at least as much scratch as it takes
 * runs as soon as it can. So what is kept for the gradient of one weight is let go once that
 * gradient is there, and not at the end of the step.
 *
 * @returns the numbers of the tasks in their new order
 */
export function orderTasks(tasks: readonly Task[]): number[] {
  const bytes = new Map<number, number>();
  const readersLeft = new Map<number, number>();
  const waiting = tasks.map((task) => task.after.size);
  const followers = tasks.map((): number[] => []);
  tasks.forEach((task, i) => {
    for (const [node, size] of task.fills) bytes.set(node, size);
    for (const node of task.reads) readersLeft.set(node, (readersLeft.get(node) ?? 0) + 1);
    for (const earlier of task.after) followers[earlier].push(i);
  });
  /** Bytes of scratch that are in use after a task beyond those before it. */
  const growth = ({ fills, reads }: Task): number => {
    let sum = 0;
    for (const size of fills.values()) sum += size;
    for (const node of reads) if (readersLeft.get(node) === 1) sum -= bytes.get(node) ?? 0;
    return sum;
  };
  const ready = new Set(tasks.flatMap((_, i) => (waiting[i] === 0 ? [i] : [])));
  const order: number[] = [];
  while (ready.size > 0) {
    const numbers = [...ready].sort((a, b) => a - b);
    const next = numbers.find((i) => growth(tasks[i]) <= 0) ?? numbers[0];
    ready.delete(next);
    order.push(next);
    for (const node of tasks[next].reads) {
      readersLeft.set(node, (readersLeft.get(node) ?? 0) - 1);
    }
    for (const i of followers[next]) {
      waiting[i]--;
      if (waiting[i] === 0) ready.add(i);
    }
  }
  return order;
}
