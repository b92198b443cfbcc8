import { button, byId, el } from './dom.ts';
import type { Conversation, Store } from './store.ts';

/** Opens a dialog with a button; whoever closes it stands at that button again. */
function panel(id: string, opener: string, onOpen: () => void): HTMLDialogElement {
  const dialog = byId(id, HTMLDialogElement);
  byId(opener, HTMLButtonElement).addEventListener('click', () => {
    onOpen();
    dialog.showModal();
  });
  // A click beside the panel hits the dialog itself.
  dialog.addEventListener('click', ({ target }) => {
    if (target === dialog) dialog.close();
  });
  return dialog;
}

export interface Settings {
  readonly system: string;
  readonly sampling: Readonly<Record<string, number>>;
}

/** The settings' panel: what is written there is kept at once. */
export class SettingsPanel {
  readonly #dialog: HTMLDialogElement;
  readonly #form: HTMLFormElement;
  readonly #store: Store;

  /** @param onKey is told when the API key has changed */
  constructor(store: Store, onKey: () => void) {
    this.#store = store;
    this.#dialog = panel('settings', 'open-settings', () => {});
    this.#form = this.#dialog.querySelector('form') as HTMLFormElement;
    const kept = store.settings;
    for (const field of this.#fields()) {
      field.value = field.name === 'key' ? store.key : (kept[field.name] ?? '');
    }
    this.#form.addEventListener('input', () => this.#keep());
    this.#form.elements.namedItem('key');
    this.#dialog.addEventListener('close', () => {
      const key = this.#field('key').value.trim();
      if (key === store.key) return;
      store.key = key;
      onKey();
    });
  }

  /** The settings; numbers that are out of bounds count as not given, and are marked in the panel. */
  get settings(): Settings {
    const numbers = this.#fields().filter(
      (field): field is HTMLInputElement => field.type === 'number',
    );
    const given = numbers.filter(({ value, validity }) => value !== '' && validity.valid);
    return {
      system: this.#field('system').value.trim(),
      sampling: Object.fromEntries(given.map(({ name, value }) => [name, Number(value)])),
    };
  }

  /** Asks for the API key. */
  askForKey(): void {
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#field('key').focus();
  }

  #keep(): void {
    const fields = this.#fields().filter(({ name }) => name !== 'key');
    this.#store.settings = Object.fromEntries(fields.map(({ name, value }) => [name, value]));
  }

  #fields(): (HTMLInputElement | HTMLTextAreaElement)[] {
    return [...this.#form.querySelectorAll<HTMLInputElement>('input, textarea')];
  }

  #field(name: string): HTMLInputElement | HTMLTextAreaElement {
    return this.#form.elements.namedItem(name) as HTMLInputElement;
  }
}

/** The list of conversations. */
export class HistoryPanel {
  readonly #dialog: HTMLDialogElement;
  readonly #store: Store;
  readonly #open: (conversation: Conversation) => void;
  readonly #removed: (conversation: Conversation) => void;

  constructor(
    store: Store,
    open: (conversation: Conversation) => void,
    removed: (conversation: Conversation) => void,
  ) {
    this.#store = store;
    this.#open = open;
    this.#removed = removed;
    this.#dialog = panel('history', 'open-history', () => this.#render());
  }

  #render(): void {
    const conversations = this.#store.list().filter(({ exchanges }) => exchanges.length > 0);
    byId('no-conversations', HTMLElement).hidden = conversations.length > 0;
    byId('conversations', HTMLElement).replaceChildren(
      ...conversations.map((one) => this.#entry(one)),
    );
  }

  #entry(conversation: Conversation): HTMLElement {
    const title = titleOf(conversation);
    const date = new Date(conversation.changed);
    const when = date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
    const open = el(
      'button',
      {
        type: 'button',
        className: 'open',
        onclick: () => {
          this.#dialog.close();
          this.#open(conversation);
        },
      },
      el('span', { className: 'title' }, title),
      el('span', { className: 'when' }, when),
    );
    const remove = button('Delete', () => this.#remove(conversation, remove), `Delete: ${title}`);
    return el('li', {}, open, remove);
  }

  /** The first click asks, the second deletes: nothing is lost by one slip. */
  #remove(conversation: Conversation, pressed: HTMLButtonElement): void {
    if (pressed.dataset.sure !== 'true') {
      pressed.dataset.sure = 'true';
      pressed.textContent = 'Really delete?';
      pressed.setAttribute('aria-label', `Really delete: ${titleOf(conversation)}?`);
      return;
    }
    this.#store.remove(conversation);
    this.#removed(conversation);
    this.#render();
    this.#dialog.querySelector('button')?.focus();
  }
}

function titleOf({ exchanges }: Conversation): string {
  const line = exchanges[0]?.question.trim().split('\n')[0] ?? '';
  return line.length > 80 ? `${line.slice(0, 79)}…` : line;
}
