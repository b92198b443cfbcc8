import { Template } from '@huggingface/jinja';
import type { Fields } from './fields.ts';
import type { ChatMessage, ChatOptions } from './types.ts';

/** Changes texts of a conversation on their way into a template: what it says, and names in it. */
export interface TextGuard {
  guard(text: string): string;
  guardWhole(text: string): string;
}

const NO_GUARD: TextGuard = { guard: (text) => text, guardWhole: (text) => text };

/** Named templates; `default` is used where a conversation has no tools, or no `tool_use` is there. */
export type ChatTemplates = ReadonlyMap<string, string>;

/** The chat templates of a tokenizer_config.json: one text, or a list of named ones. */
export function parseTemplates(fields: Fields, value: unknown): ChatTemplates {
  if (value === undefined || value === null) return new Map();
  if (typeof value === 'string') return new Map([['default', value]]);
  return new Map(
    fields.list(value, 'chat_template').map((entry, index) => {
      const field = `chat_template[${index}]`;
      const { name, template } = fields.part(entry, field);
      return [fields.text(name, `${field}.name`), fields.text(template, `${field}.template`)];
    }),
  );
}

/** Writes conversations by Jinja templates, as transformers does. */
export class ChatWriter {
  readonly #templates: ChatTemplates;
  readonly #variables: Readonly<Record<string, unknown>>;
  readonly #compiled = new Map<string, Template>();

  /** @param variables what every template may use: the special tokens by their role */
  constructor(templates: ChatTemplates, variables: Readonly<Record<string, unknown>>) {
    this.#templates = templates;
    this.#variables = variables;
  }

  get hasTemplate(): boolean {
    return this.#templates.size > 0;
  }

  /**
   * @param guard changes what the template is given, before it is written
   * @throws Error where there is no template, or with what the template itself refuses
   */
  render(
    messages: readonly ChatMessage[],
    options: ChatOptions,
    guard: TextGuard = NO_GUARD,
  ): string {
    if (!Array.isArray(messages) || messages.length === 0) {
      throw new RangeError('messages is empty; expected at least one message. Pass one.');
    }
    const { tools, variables, addGenerationPrompt = true, continueFinalMessage = false } = options;
    const hasTools = tools !== undefined && tools.length > 0;
    const guarded = guardTexts(messages, guard) as ChatMessage[];
    const text = this.#template(hasTools).render({
      ...this.#variables,
      ...(guardTexts(variables ?? {}, guard) as object),
      messages: guarded,
      tools: hasTools ? guardTexts(tools, guard) : null,
      documents: variables?.['documents'] ?? null,
      add_generation_prompt: addGenerationPrompt && !continueFinalMessage,
      continue_final_message: continueFinalMessage,
    });
    return continueFinalMessage ? cutAfter(text, guarded.at(-1)?.content) : text;
  }

  #template(hasTools: boolean): Template {
    const name = hasTools && this.#templates.has('tool_use') ? 'tool_use' : 'default';
    const source = this.#templates.get(name);
    if (source === undefined) {
      const names = [...this.#templates.keys()].join(', ');
      throw new Error(
        names === ''
          ? 'the tokenizer has no chat template; expected one in tokenizer_config.json or ' +
              'chat_template.jinja. Use a model that was made for chats, or give plain text.'
          : `the tokenizer has the chat templates ${names} only; expected one named default.`,
      );
    }
    let template = this.#compiled.get(name);
    if (template === undefined) {
      template = compile(source, name);
      this.#compiled.set(name, template);
    }
    return template;
  }
}

function compile(source: string, name: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw new Error(
      `chat template ${JSON.stringify(name)} cannot be read: ${(error as Error).message}. Check ` +
        'chat_template in tokenizer_config.json, or chat_template.jinja.',
      { cause: error },
    );
  }
}

/** The rendering up to the end of the last message, so that a model goes on with it. */
function cutAfter(text: string, content: unknown): string {
  const last = Array.isArray(content) ? (content.at(-1) as { text?: unknown })?.text : content;
  const wanted = typeof last === 'string' ? last.trim() : '';
  const at = wanted === '' ? -1 : text.lastIndexOf(wanted);
  if (at === -1) {
    throw new Error(
      `continueFinalMessage is true, but the template does not write the last message's content ` +
        `${JSON.stringify(last)} as it stands. End with a message of text, or leave the option out.`,
    );
  }
  const whole = (last as string).trimStart();
  return text.slice(0, at + (text.startsWith(whole, at) ? whole : wanted).length);
}

/** A copy with every text changed; what is undefined is left out, as in JSON. */
function guardTexts(value: unknown, guard: TextGuard): unknown {
  if (typeof value === 'string') return guard.guard(value);
  if (Array.isArray(value)) return value.map((entry) => guardTexts(entry, guard));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => {
        const name = (key === 'role' || key === 'type') && typeof entry === 'string';
        return [guard.guardWhole(key), name ? guard.guardWhole(entry) : guardTexts(entry, guard)];
      }),
  );
}
