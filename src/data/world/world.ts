import { SeededRandom } from '../random.ts';
import { arithmeticSplit } from './arithmetic.ts';
import type { Exchange, Question, QuestionKind, WorldDocument } from './exchange.ts';
import { conversationOf, documentOf, questionOf } from './exchange.ts';
import { describeEntity, factSplit } from './facts.ts';
import { heldOutQuestions } from './held-out.ts';
import { oppositeSplit } from './opposites.ts';
import { type Story, tellEvent, tellPair } from './stories.ts';

/** What to generate; `characters` is the length of the training text (default 400000). */
export interface WorldOptions {
  readonly seed: number;
  readonly characters?: number;
}

/** Messages by turns, beginning with the user's. */
export type Conversation = ReturnType<typeof conversationOf>;

/** A generated corpus. */
export interface World {
  /** The training text: documents divided by blank lines. */
  readonly train: string;
  /** The same documents as conversations; descriptions, which nobody asks for, are not among them. */
  readonly conversations: readonly Conversation[];
  /** Documents of the same making from another stream, a twentieth as long. */
  readonly validation: string;
  readonly validationConversations: readonly Conversation[];
  /** Questions whose prompts never occur in either text; the same for every seed. */
  readonly questions: readonly Question[];
  /** The questions of the training text in order, for baselines. */
  readonly examples: readonly Question[];
}

/** The shortest training text in which every skill is shown. */
const FEWEST_CHARACTERS = 2000;

/** Chances of the kinds of document, chosen so that each skill gets its share of characters. */
const CHANCES = { fact: 34, description: 1, arithmetic: 36, opposite: 5, story: 14, pair: 10 };

/**
 * Generates the corpus of the small world. The facts of the world are fixed; the seed chooses
 * which documents are drawn and in which order.
 *
 * @throws RangeError if `seed` is not an integer from 0 to 4294967295, or `characters` is not an
 *   integer of at least 2000.
 */
export function generateWorld(options: WorldOptions): World {
  const { seed, characters = 400_000 } = options;
  if (!Number.isInteger(characters) || characters < FEWEST_CHARACTERS) {
    throw new RangeError(
      `characters is ${characters}; expected an integer of at least ${FEWEST_CHARACTERS}. ` +
        'Ask for a longer corpus.',
    );
  }
  const random = new SeededRandom(seed);
  const training = new Writer(random);
  training.write(characters);
  const validation = new Writer(random);
  validation.write(Math.ceil(characters / 20));
  return {
    train: training.text(),
    conversations: training.conversations,
    validation: validation.text(),
    validationConversations: validation.conversations,
    questions: heldOutQuestions(),
    examples: training.examples,
  };
}

/** Questions and answers of a conversation. */
const MOST_EXCHANGES = 3;

/** Repeats exchanges so that each skill comes about as often as the most frequent one. */
function bySkill(exchanges: readonly Exchange[]): Exchange[] {
  const skills = new Map<string, Exchange[]>();
  for (const exchange of exchanges) {
    skills.set(exchange.skill, [...(skills.get(exchange.skill) ?? []), exchange]);
  }
  const most = Math.max(...[...skills.values()].map((same) => same.length));
  return [...skills.values()].flatMap((same) => {
    return Array<readonly Exchange[]>(Math.max(1, Math.round(most / same.length / 2)))
      .fill(same)
      .flat();
  });
}

/** Deals the items of a list in random order, each once before any comes again. */
class Deck<T> {
  readonly #items: readonly T[];
  readonly #random: SeededRandom;
  #rest: T[] = [];

  constructor(items: readonly T[], random: SeededRandom) {
    this.#items = items;
    this.#random = random;
  }

  deal(): T {
    if (this.#rest.length === 0) {
      this.#rest = this.#random.shuffled(this.#items);
    }
    return this.#rest.pop() as T;
  }
}

/** Writes documents until there are enough characters. */
class Writer {
  readonly examples: Question[] = [];
  readonly conversations: Conversation[] = [];
  readonly #documents: string[] = [];
  readonly #random: SeededRandom;
  readonly #decks: Readonly<Record<'fact' | 'arithmetic' | 'opposite', Deck<Exchange>>>;

  constructor(random: SeededRandom) {
    this.#random = random;
    this.#decks = {
      fact: new Deck(factSplit().training, random),
      arithmetic: new Deck(bySkill(arithmeticSplit().training), random),
      opposite: new Deck(oppositeSplit().training, random),
    };
  }

  text(): string {
    return this.#documents.join('\n');
  }

  write(characters: number): void {
    const kinds = Object.entries(CHANCES).flatMap(([kind, chances]) =>
      Array<keyof typeof CHANCES>(chances).fill(kind as keyof typeof CHANCES),
    );
    for (let written = 0; written < characters; ) {
      const document = this.#document(this.#random.pick(kinds));
      this.#documents.push(document);
      written += document.length + 1;
    }
  }

  #document(kind: keyof typeof CHANCES): string {
    if (kind === 'description') {
      return `${describeEntity(this.#random)}\n`;
    }
    const document = this.#asking(kind);
    const { story, exchanges } = document;
    this.examples.push(...exchanges.map((exchange) => questionOf(exchange, story)));
    this.#say(conversationOf(document));
    return documentOf(document);
  }

  /** Half of the conversations change their subject, so that nothing hangs on the one before. */
  #say(messages: Conversation): void {
    const last = this.conversations.at(-1);
    const fits = last && last.length + messages.length <= 2 * MOST_EXCHANGES;
    if (fits && this.#random.integer(2) === 0) last.push(...messages);
    else this.conversations.push(messages);
  }

  #asking(kind: QuestionKind): WorldDocument {
    const of = ({ text, exchanges }: Story) => ({ story: text, exchanges });
    if (kind === 'story') return of(tellEvent(this.#random, false));
    if (kind === 'pair') return of(tellPair(this.#random, false));
    return this.#exchanges(kind);
  }

  #exchanges(kind: 'fact' | 'arithmetic' | 'opposite'): WorldDocument {
    const count = 1 + this.#random.integer(2);
    return { story: '', exchanges: Array.from({ length: count }, () => this.#decks[kind].deal()) };
  }
}
