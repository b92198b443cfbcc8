/** Rows as text in columns: the first flush left, the others right. The first row is the head. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => {
    return Math.max(...rows.map((row) => (row[column] ?? '').length));
  });
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('   ')
      .trimEnd();
  const [head, ...body] = rows.map(line);
  const rule = widths.map((width) => '─'.repeat(width)).join('   ');
  return [head, rule, ...body].join('\n');
}
