/** An import as written: the specifier and the line, counted from 1, on which it stands. */
export interface Import {
  specifier: string;
  line: number;
}

interface Token {
  kind: 'word' | 'string' | 'mark';
  text: string;
  line: number;
}

/** Words after which a slash opens a regular expression, not a division. */
const BEFORE_REGEX = new Set(
  'await case delete do else in instanceof new of return throw typeof void yield'.split(' '),
);

/**
 * Every import in a TypeScript source, in order: static, re-exporting, dynamic with a literal
 * specifier, and the type forms of each. Comments, strings and templates are passed over (code
 * generators are full of them), code within `${}` is not.
 */
export function findImports(source: string): Import[] {
  const tokens = tokenize(source);
  const found: Import[] = [];
  const isMark = (i: number, text: string): boolean =>
    tokens[i]?.kind === 'mark' && tokens[i].text === text;
  const add = (i: number, line: number): void => {
    if (tokens[i]?.kind === 'string') found.push({ specifier: tokens[i].text, line });
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind !== 'word' || isMark(i - 1, '.')) continue;
    if (token.text !== 'import' && token.text !== 'export') continue;
    if (token.text === 'import' && isMark(i + 1, '(')) add(i + 2, token.line);
    else if (token.text === 'import' && tokens[i + 1]?.kind === 'string') add(i + 1, token.line);
    else {
      const at = fromClause(tokens, i + 1);
      if (at >= 0) add(at, token.line);
    }
  }
  return found;
}

/**
 * Index of the specifier in `{ a, type b as c } from 'x'`, `* as ns from 'x'` or `d, { e } from
 * 'x'` starting at token `i`; -1 where the tokens are no such clause (`export const`, ...).
 */
function fromClause(tokens: readonly Token[], i: number): number {
  for (let braces = 0; i < tokens.length; i++) {
    const { kind, text } = tokens[i]!;
    if (kind === 'string') {
      if (braces === 0) return -1;
    } else if (kind === 'mark') {
      if (text === '{') braces++;
      else if (text === '}') braces--;
      else if (text !== ',' && text !== '*') return -1;
    } else if (text === 'from' && braces === 0 && tokens[i + 1]?.kind === 'string') return i + 1;
  }
  return -1;
}

/** Words, plain strings (unquoted) and single-character marks; everything else is left out. */
function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  /** Depth of braces at which each open template goes on: `${` pushes, its `}` pops. */
  const templates: number[] = [];
  let depth = 0;
  let line = 1;
  let i = 0;

  const skipTo = (end: number): void => {
    for (; i < end; i++) if (source[i] === '\n') line++;
  };
  /** Index after the template text that starts at `from`: behind its backtick or its `${`. */
  const templateEnd = (from: number): number => {
    for (let j = from; j < source.length; j++) {
      if (source[j] === '\\') j++;
      else if (source[j] === '`') return j + 1;
      else if (source[j] === '$' && source[j + 1] === '{') {
        templates.push(depth++);
        return j + 2;
      }
    }
    return source.length;
  };
  const regexMayStart = (): boolean => {
    const last = tokens.at(-1);
    if (last === undefined) return true;
    if (last.kind === 'word') return BEFORE_REGEX.has(last.text);
    return last.kind === 'mark' && !/[)\]}`]/.test(last.text);
  };

  while (i < source.length) {
    const c = source[i]!;
    if (source.startsWith('//', i)) {
      const end = source.indexOf('\n', i);
      skipTo(end < 0 ? source.length : end);
    } else if (source.startsWith('/*', i)) {
      const end = source.indexOf('*/', i + 2);
      skipTo(end < 0 ? source.length : end + 2);
    } else if (c === "'" || c === '"') {
      const text = new RegExp(`${c}((?:[^\\\\${c}\\n]|\\\\[^])*)${c}?`, 'y');
      text.lastIndex = i;
      const match = text.exec(source)!;
      tokens.push({ kind: 'string', text: match[1]!, line });
      skipTo(i + match[0].length);
    } else if (c === '`') {
      tokens.push({ kind: 'mark', text: c, line });
      skipTo(templateEnd(i + 1));
      if (source[i - 1] === '{') tokens.push({ kind: 'mark', text: '{', line });
    } else if (c === '/' && regexMayStart()) {
      const regex = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
      regex.lastIndex = i;
      const length = regex.exec(source)?.[0].length ?? 1;
      tokens.push({ kind: 'mark', text: '`', line });
      skipTo(i + length);
    } else if (/[\p{ID_Start}$_#]/u.test(c)) {
      const word = /[\p{ID_Continue}$#]+/uy;
      word.lastIndex = i;
      const text = word.exec(source)![0];
      tokens.push({ kind: 'word', text, line });
      i += text.length;
    } else {
      if (c === '{') depth++;
      if (c === '}') depth--;
      if (!/\s/.test(c)) tokens.push({ kind: 'mark', text: c, line });
      if (c === '}' && templates.at(-1) === depth) {
        templates.pop();
        skipTo(templateEnd(i + 1));
        tokens.push({ kind: 'mark', text: source[i - 1] === '{' ? '{' : '`', line });
      } else skipTo(i + 1);
    }
  }
  return tokens;
}
