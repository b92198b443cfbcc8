/** Text to token ids and back, as a `tokenizer.json` defines it. */
export interface Tokenizer {
  /** Ids run from 0 to size - 1. */
  readonly size: number;
  /** Put before a text by `addSpecial`, where the tokenizer has it. */
  readonly bosId: number | undefined;
  /** Ids that end a text; may be none. */
  readonly eosIds: readonly number[];
  /** Whether there is a chat template. */
  readonly hasChat: boolean;

  /** @throws RangeError for text that the vocabulary cannot say */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /** Bytes that are no whole character become U+FFFD. */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** The bytes that a token stands for inside a text; not to be changed. */
  bytesOf(id: number): Uint8Array;
  idOf(token: string): number | undefined;
  tokenOf(id: number): string | undefined;
  isSpecial(id: number): boolean;

  /** A conversation as the model's template writes it. @throws Error where there is no template */
  renderChat(messages: readonly ChatMessage[], options?: ChatOptions): string;
  /**
   * The ids of a rendered conversation. Special tokens are matched in the template's own text only,
   * never in what the messages say.
   */
  encodeChat(messages: readonly ChatMessage[], options?: ChatOptions): Int32Array;

  /** The files of a HuggingFace directory that restore it, name to content. */
  files(): ReadonlyMap<string, string>;
}

export interface EncodeOptions {
  /** Adds the special tokens that frame a text, such as bos (default false). */
  readonly addSpecial?: boolean;
  /** Recognises special tokens written in the text (default false: text of a user is text). */
  readonly parseSpecial?: boolean;
}

export interface DecodeOptions {
  /** Leaves special tokens out (default false). */
  readonly skipSpecial?: boolean;
}

/** A message in OpenAI's form; further keys go to the template as they are. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: string | null | readonly { readonly type: string; readonly text?: string }[];
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** Ends with what begins the assistant's answer (default true). */
  readonly addGenerationPrompt?: boolean;
  /** Ends with the last message's content, for the model to go on with it (default false). */
  readonly continueFinalMessage?: boolean;
  readonly tools?: readonly unknown[];
  /** Further variables of the template. */
  readonly variables?: Readonly<Record<string, unknown>>;
}
