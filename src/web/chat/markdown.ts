import { el } from './dom.ts';

/**
 * Renders the part of Markdown that models write: paragraphs, headings, lists, quotations, code,
 * emphasis, links. It makes elements and text nodes and never reads markup, so nothing that a model
 * says can become part of the page.
 */
export function renderMarkdown(
  source: string,
  codeBlock: (text: string, language: string) => HTMLElement,
): DocumentFragment {
  const fragment = document.createDocumentFragment();
  const lines = source.split('\n');
  let at = 0;
  while (at < lines.length) {
    const fence = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)/.exec(lines[at]);
    if (fence) {
      const [, mark, language] = fence;
      const end = findEnd(lines, at + 1, mark);
      fragment.append(codeBlock(lines.slice(at + 1, end).join('\n'), language));
      at = end + 1;
      continue;
    }
    if (lines[at].trim() === '') {
      at++;
      continue;
    }
    const [block, next] = renderBlock(lines, at);
    fragment.append(block);
    at = next;
  }
  return fragment;
}

/** The line that closes a fence, or the end: while an answer is written it is still open. */
function findEnd(lines: readonly string[], from: number, mark: string): number {
  const closes = (line: string) => {
    const text = line.trim();
    return text.length >= mark.length && text === mark[0].repeat(text.length);
  };
  const found = lines.slice(from).findIndex(closes);
  return found < 0 ? lines.length : from + found;
}

const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)(?:[-*+]|(\d{1,9})[.)])\s+/;

function renderBlock(lines: readonly string[], from: number): [HTMLElement, number] {
  const line = lines[from];
  const heading = HEADING.exec(line);
  if (heading) {
    // The page's own headings are the first two levels.
    const level = Math.min(6, heading[1].length + 2) as 3 | 4 | 5 | 6;
    return [el(`h${level}`, {}, ...renderInline(heading[2])), from + 1];
  }
  if (RULE.test(line)) return [el('hr'), from + 1];
  let to = from + 1;
  if (QUOTE.test(line)) {
    while (to < lines.length && QUOTE.test(lines[to])) to++;
    const text = lines.slice(from, to).map((one) => one.replace(QUOTE, ''));
    return [el('blockquote', {}, ...paragraph(text)), to];
  }
  if (ITEM.test(line)) return renderList(lines, from);
  const interrupts = (one: string) =>
    one.trim() === '' || HEADING.test(one) || QUOTE.test(one) || /^ {0,3}(```|~~~)/.test(one);
  while (to < lines.length && !interrupts(lines[to]) && !ITEM.test(lines[to])) to++;
  return [el('p', {}, ...paragraph(lines.slice(from, to))), to];
}

/** Items of one level; those that stand further in are a list within the item before. */
function renderList(lines: readonly string[], from: number): [HTMLElement, number] {
  const [, indent, number] = ITEM.exec(lines[from]) as RegExpExecArray;
  const list = number === undefined ? el('ul') : el('ol', { start: Number(number) });
  let at = from;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    if (!item || item[1].length < indent.length) break;
    if (item[1].length > indent.length + 1) {
      const [nested, next] = renderList(lines, at);
      (list.lastElementChild ?? list).append(nested);
      at = next;
      continue;
    }
    if ((item[2] === undefined) !== (number === undefined)) break;
    let to = at + 1;
    const continues = (line: string) => /^ {2,}\S/.test(line) && !ITEM.test(line);
    while (to < lines.length && continues(lines[to])) to++;
    const text = [lines[at].slice(item[0].length), ...lines.slice(at + 1, to)];
    list.append(el('li', {}, ...paragraph(text.map((one) => one.trim()))));
    at = to;
    // Items may stand apart.
    if (lines[at]?.trim() === '' && ITEM.test(lines[at + 1] ?? '')) at++;
  }
  return [list, at];
}

function paragraph(lines: readonly string[]): (Node | string)[] {
  return lines.flatMap((line, i) =>
    i === 0 ? renderInline(line) : [el('br'), ...renderInline(line)],
  );
}

const INLINE =
  /(`+)(.+?)\1(?!`)|\*\*(?=\S)(.+?\S|\S)\*\*|\*(?=[^\s*])(.+?[^\s*]|[^\s*])\*(?!\*)|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/;

/** Emphasis, code and links within a line. */
export function renderInline(text: string): (Node | string)[] {
  const nodes: (Node | string)[] = [];
  let rest = text;
  for (let found = INLINE.exec(rest); found; found = INLINE.exec(rest)) {
    if (found.index > 0) nodes.push(rest.slice(0, found.index));
    nodes.push(inlineElement(found));
    rest = rest.slice(found.index + found[0].length);
  }
  if (rest !== '') nodes.push(rest);
  return nodes;
}

function inlineElement([, , code, strong, emphasis, label, href]: RegExpExecArray): HTMLElement {
  if (code !== undefined) return el('code', {}, code);
  if (strong !== undefined) return el('strong', {}, ...renderInline(strong));
  if (emphasis !== undefined) return el('em', {}, ...renderInline(emphasis));
  const link = el('a', { href, target: '_blank', rel: 'noopener noreferrer' });
  link.append(...renderInline(label));
  return link;
}
