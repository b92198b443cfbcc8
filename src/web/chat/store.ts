/** One of several answers to a message. */
export interface Answer {
  text: string;
  /** What went wrong, in words. */
  error?: string;
  /** Something the reader should know of it: that it was stopped, or what was left out. */
  note?: string;
  tokens?: number;
  /** Tokens a second after the first, and the seconds until that one. */
  rate?: number;
  first?: number;
}

/** A message and the answers to it, of which one is shown and is what the model remembers. */
export interface Exchange {
  readonly question: string;
  readonly answers: Answer[];
  shown: number;
}

export interface Conversation {
  readonly id: string;
  readonly exchanges: Exchange[];
  /** Milliseconds since 1970. */
  changed: number;
}

const CONVERSATION = 'tersor.chat.conversation.';
const DRAFT = 'tersor.chat.draft';
const SETTINGS = 'tersor.chat.settings';
const CURRENT = 'tersor.chat.current';
const KEY = 'tersor.chat.key';

/**
 * Keeps what a user made in the browser: each conversation under a key of its own, so that two
 * tabs with two conversations do not write over each other.
 */
export class Store {
  readonly #onFailure: () => void;

  /** @param onFailure is told when something cannot be kept */
  constructor(onFailure: () => void) {
    this.#onFailure = onFailure;
  }

  /** All conversations, the latest first. */
  list(): Conversation[] {
    const found: Conversation[] = [];
    this.#try(() => {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i) ?? '';
        if (!name.startsWith(CONVERSATION)) continue;
        const conversation = parse<Conversation>(localStorage.getItem(name));
        if (conversation && Array.isArray(conversation.exchanges)) found.push(conversation);
      }
    });
    return found.sort((a, b) => b.changed - a.changed);
  }

  /** The conversation of this tab, else the latest one. */
  current(): Conversation {
    const all = this.list();
    const id = this.#try(() => sessionStorage.getItem(CURRENT));
    return (
      all.find((one) => one.id === id) ?? (id ? emptyConversation() : all[0]) ?? emptyConversation()
    );
  }

  open({ id }: Conversation): void {
    this.#try(() => sessionStorage.setItem(CURRENT, id));
  }

  save(conversation: Conversation): void {
    conversation.changed = Date.now();
    const { id } = conversation;
    this.#try(() => localStorage.setItem(CONVERSATION + id, JSON.stringify(conversation)));
  }

  remove({ id }: Conversation): void {
    this.#try(() => localStorage.removeItem(CONVERSATION + id));
  }

  /** Calls back when another tab has changed a conversation. */
  onChange(callback: (id: string) => void): void {
    addEventListener('storage', ({ key }) => {
      if (key?.startsWith(CONVERSATION)) callback(key.slice(CONVERSATION.length));
    });
  }

  get draft(): string {
    return this.#try(() => sessionStorage.getItem(DRAFT) ?? localStorage.getItem(DRAFT)) ?? '';
  }

  set draft(text: string) {
    this.#try(() => {
      sessionStorage.setItem(DRAFT, text);
      localStorage.setItem(DRAFT, text);
    });
  }

  get settings(): Readonly<Record<string, string>> {
    return parse(this.#try(() => localStorage.getItem(SETTINGS)) ?? null) ?? {};
  }

  set settings(settings: Readonly<Record<string, string>>) {
    this.#try(() => localStorage.setItem(SETTINGS, JSON.stringify(settings)));
  }

  /** The API key; it is kept no longer than the tab lives. */
  get key(): string {
    return this.#try(() => sessionStorage.getItem(KEY)) ?? '';
  }

  set key(key: string) {
    this.#try(() => sessionStorage.setItem(KEY, key));
  }

  #try<T>(body: () => T): T | undefined {
    try {
      return body();
    } catch {
      this.#onFailure();
      return undefined;
    }
  }
}

export function emptyConversation(): Conversation {
  return { id: newId(), exchanges: [], changed: Date.now() };
}

/** Browsers make UUIDs on secure origins only, and a phone comes here by plain HTTP. */
function newId(): string {
  const numbers = crypto.getRandomValues(new Uint32Array(4));
  return Array.from(numbers, (number) => number.toString(16).padStart(8, '0')).join('');
}

function parse<T>(text: string | null): T | undefined {
  try {
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}
