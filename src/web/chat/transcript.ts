import { button, el } from './dom.ts';
import { renderMarkdown } from './markdown.ts';
import type { Answer, Exchange } from './store.ts';

/** What the buttons under an answer do. */
export interface AnswerActions {
  readonly regenerate: () => void;
  /** Shows another of the answers. */
  readonly show: (index: number) => void;
  /** Tells people who do not see the page what has happened. */
  readonly announce: (text: string) => void;
}

/** A message with the answer that is shown. */
export class ExchangeView {
  readonly element: HTMLElement;
  readonly #exchange: Exchange;
  readonly #actions: AnswerActions;
  readonly #body = el('div', { className: 'prose' });
  readonly #foot = el('div', { className: 'foot' });
  #frame = 0;

  constructor(exchange: Exchange, actions: AnswerActions) {
    this.#exchange = exchange;
    this.#actions = actions;
    const question = el(
      'article',
      { className: 'question' },
      el('h2', { className: 'hidden' }, 'You'),
      el('div', { className: 'said' }, exchange.question),
    );
    const answer = el(
      'article',
      { className: 'answer' },
      el('h2', { className: 'hidden' }, 'Answer'),
      this.#body,
      this.#foot,
    );
    this.element = el('section', { className: 'exchange' }, question, answer);
  }

  /** Shows the answer as it is when the browser draws next, however often that is asked for. */
  later(): void {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#renderText(true);
    });
  }

  /** Shows everything. */
  update(running: boolean, last: boolean): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#renderText(running);
    this.#foot.replaceChildren(...this.#footer(running, last));
  }

  #renderText(running: boolean): void {
    const { text } = this.#answer;
    this.#body.setAttribute('aria-busy', String(running));
    this.#body.classList.toggle('running', running);
    this.#body.replaceChildren(
      renderMarkdown(text, (code, language) => this.#codeBlock(code, language)),
    );
    if (running && text === '') {
      this.#body.append(el('p', { className: 'waiting', ariaLabel: 'Waiting for the answer' }));
    }
  }

  get #answer(): Answer {
    const { answers, shown } = this.#exchange;
    return answers[shown] ?? { text: '' };
  }

  #footer(running: boolean, last: boolean): Node[] {
    if (running) return [];
    const { error, note, text } = this.#answer;
    const nodes: Node[] = [];
    if (note !== undefined) nodes.push(el('p', { className: 'note' }, note));
    if (error !== undefined) {
      const retry = last ? button('Try again', this.#actions.regenerate) : undefined;
      nodes.push(el('p', { className: 'error' }, el('span', {}, error), retry));
    }
    const tools = el('div', { className: 'tools' }, ...this.#versions());
    if (text !== '') tools.append(this.#copyButton('Copy', 'Copy the answer', () => text));
    if (last && error === undefined) {
      tools.append(button('Regenerate', this.#actions.regenerate, 'Regenerate the answer'));
    }
    tools.append(el('span', { className: 'figures' }, figures(this.#answer)));
    nodes.push(tools);
    return nodes;
  }

  #versions(): Node[] {
    const { answers, shown } = this.#exchange;
    if (answers.length < 2) return [];
    const step = (label: string, name: string, index: number) => {
      const made = button(label, () => this.#actions.show(index), name);
      made.disabled = index < 0 || index >= answers.length;
      return made;
    };
    const place = el('span', { className: 'place' }, `${shown + 1} of ${answers.length}`);
    const group = el(
      'span',
      { className: 'versions', role: 'group', ariaLabel: 'Answers to this message' },
      step('‹', 'Previous answer', shown - 1),
      place,
      step('›', 'Next answer', shown + 1),
    );
    return [group];
  }

  #codeBlock(code: string, language: string): HTMLElement {
    const copy = this.#copyButton('Copy', 'Copy the code', () => code);
    const head = el('div', { className: 'code-head' }, el('span', {}, language || 'text'), copy);
    // Long lines scroll, and whoever has no mouse must be able to get there.
    const body = el('pre', { tabIndex: 0, ariaLabel: 'Code' }, el('code', {}, code));
    return el('div', { className: 'code' }, head, body);
  }

  #copyButton(label: string, name: string, text: () => string): HTMLButtonElement {
    const made = button(
      label,
      () => {
        copy(text()).then(
          () => {
            made.textContent = 'Copied';
            this.#actions.announce('Copied');
            setTimeout(() => {
              made.textContent = label;
            }, 1500);
          },
          () => this.#actions.announce('The browser does not allow copying'),
        );
      },
      name,
    );
    return made;
  }
}

/** What an answer cost, in figures. */
function figures({ tokens, rate, first }: Answer): string {
  const parts: string[] = [];
  if (tokens !== undefined) parts.push(`${tokens} ${tokens === 1 ? 'token' : 'tokens'}`);
  if (rate !== undefined) parts.push(`${rate.toFixed(rate < 10 ? 1 : 0)} tokens/s`);
  if (first !== undefined) parts.push(`first after ${seconds(first)}`);
  return parts.join(' · ');
}

function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`;
}

/** Pages that come over plain HTTP from another machine have no clipboard; a selection serves. */
async function copy(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const field = el('textarea', { value: text, className: 'hidden' });
  const focused = document.activeElement;
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (focused instanceof HTMLElement) focused.focus();
  if (!done) throw new Error('not copied');
}
