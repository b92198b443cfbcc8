import { badArgument } from '../../base/errors.ts';

/** Labels of axes: a letter each; those of an ellipsis are '.0', '.1', ... from the right. */
export interface Equation {
  readonly inputs: readonly (readonly string[])[];
  readonly output: readonly string[];
}

const ELLIPSIS = '...';

/**
 * Reads an equation such as 'bij,bjk->bik' or '...ij,...jk'. Without an arrow the output has the
 * ellipsis' axes and then, in the alphabet's order, the letters that occur once.
 *
 * @param ranks the number of axes of each operand
 */
export function parseEquation(equation: string, ranks: readonly number[]): Equation {
  const fail = (expected: string) => badArgument('einsum', 'equation', equation, expected);
  const parts = equation.replaceAll(/\s/g, '').split('->');
  if (parts.length > 2) throw fail('at most one ->');
  const terms = parts[0].split(',');
  if (terms.length !== ranks.length) {
    throw fail(`${ranks.length} terms, one for each operand`);
  }
  const inputs = terms.map((term, i) => labelsOf(term, ranks[i], fail));
  const dots = ellipsisLabels(Math.max(0, ...inputs.map((labels) => labels.filter(isDot).length)));
  const output = parts.length === 2 ? outputLabels(parts[1], dots, fail) : implicit(inputs, dots);
  const known = new Set([...inputs.flat(), ...dots]);
  const strange = output.find((label) => !known.has(label));
  if (strange !== undefined) throw fail(`no output axis ${strange} that no operand has`);
  if (new Set(output).size !== output.length) throw fail('each axis of the output once');
  return { inputs, output };
}

type Fail = (expected: string) => Error;

const isDot = (label: string) => label.startsWith('.');

function ellipsisLabels(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `.${count - 1 - i}`);
}

/** The letters before and after the ellipsis, and whether there is one. */
function splitTerm(term: string, fail: Fail): { before: string[]; after: string[]; dots: boolean } {
  const pieces = term.split(ELLIPSIS);
  if (pieces.length > 2) throw fail('at most one ellipsis in a term');
  for (const piece of pieces) {
    if (!/^[a-zA-Z]*$/.test(piece)) throw fail('letters, commas, ... and ->');
  }
  return { before: [...pieces[0]], after: [...(pieces[1] ?? '')], dots: pieces.length === 2 };
}

function labelsOf(term: string, rank: number, fail: Fail): string[] {
  const { before, after, dots } = splitTerm(term, fail);
  const rest = rank - before.length - after.length;
  if (rest < 0 || (rest > 0 && !dots)) throw fail(`as many letters in ${term} as axes (${rank})`);
  return [...before, ...ellipsisLabels(rest), ...after];
}

function outputLabels(term: string, dots: readonly string[], fail: Fail): string[] {
  const { before, after, dots: has } = splitTerm(term, fail);
  return [...before, ...(has ? dots : []), ...after];
}

function implicit(inputs: readonly (readonly string[])[], dots: readonly string[]): string[] {
  const letters = inputs.flat().filter((label) => !isDot(label));
  const once = letters.filter((label) => letters.indexOf(label) === letters.lastIndexOf(label));
  return [...dots, ...once.sort()];
}
