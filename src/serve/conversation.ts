import type { ChatMessage, Tokenizer } from '../io/index.ts';
import { ApiError, badField, unsupported } from './errors.ts';
import type { ChatBody, MessageBody } from './schema.ts';

/** How a conversation is written for a model that has no chat template. */
export interface PlainChat {
  /** Ends with what begins the answer. */
  readonly render: (messages: readonly ChatMessage[]) => string;
  /** Texts that end an answer, for such a model has no token for that. */
  readonly stop: readonly string[];
}

/** Questions and answers: `Q: ...`, `A: ...`, a line each; other roles' texts stand between. */
export const QUESTIONS_AND_ANSWERS: PlainChat = {
  render: (messages) => {
    const lines = messages.map(({ role, content }) => {
      const text = String(content ?? '').trim();
      if (role === 'user') return `Q: ${text}`;
      return role === 'assistant' ? `A: ${text}` : `${text}\n`;
    });
    return [...lines, 'A: '].join('\n');
  },
  stop: ['\n\n', '\nQ:'],
};

/** A conversation as the model sees it. */
export interface Prompt {
  readonly ids: Int32Array;
  /** Stop texts beside those of the request. */
  readonly stop: readonly string[];
}

/** @throws ApiError 400 for a conversation that the template or the vocabulary refuses */
export function encodeConversation(
  body: ChatBody,
  tokenizer: Tokenizer,
  plain: PlainChat,
  context: number,
): Prompt {
  const messages = body.messages.map((one, i) => normalise(one, `messages[${i}]`));
  const tools = usesTools(body) ? body.tools : undefined;
  const lengths = messages.map(({ content, tool_calls: calls }) => {
    return String(content).length + (calls === undefined ? 0 : JSON.stringify(calls).length);
  });
  const told = tools === undefined ? 0 : JSON.stringify(tools).length;
  requireRoom(
    'messages',
    lengths.reduce((a, b) => a + b, told),
    context,
  );
  if (!tokenizer.hasChat) {
    if (tools !== undefined) {
      throw unsupported('tools', 'the model has no chat template that could tell it of them');
    }
    const text = plain.render(messages);
    const ids = refusing('messages', () => tokenizer.encode(text, { addSpecial: true }));
    return { ids, stop: plain.stop };
  }
  const variables = body.chat_template_kwargs;
  for (const name of ['messages', 'tools', 'add_generation_prompt', 'chat_template']) {
    if (variables !== undefined && Object.hasOwn(variables, name)) {
      throw unsupported(`chat_template_kwargs.${name}`, 'the server sets it');
    }
  }
  const ids = refusing('messages', () =>
    tokenizer.encodeChat(messages, {
      addGenerationPrompt: true,
      ...(tools !== undefined && { tools }),
      ...(variables !== undefined && { variables }),
    }),
  );
  return { ids, stop: [] };
}

/** Whether the model is told of tools, and what it writes is searched for calls. */
export function usesTools({ tools, tool_choice: choice, parallel_tool_calls }: ChatBody): boolean {
  if (choice != null && choice !== 'auto' && choice !== 'none') {
    throw unsupported('tool_choice', 'only "auto" and "none" are built');
  }
  if (tools === undefined || tools.length === 0 || choice === 'none') return false;
  if (parallel_tool_calls === false) {
    throw unsupported('parallel_tool_calls', 'how many tools the model calls is its own choice');
  }
  return true;
}

/** A message as templates know it: content one text, arguments of calls as objects. */
function normalise(message: MessageBody, where: string): ChatMessage {
  const { role: given, content: body, tool_calls: calls, ...rest } = message;
  const role = given === 'developer' ? 'system' : given;
  const content = textOf(body, `${where}.content`);
  if (calls === undefined) {
    if (content === undefined) throw badField(`${where}.content`, body, 'text');
    return { ...rest, role, content };
  }
  if (role !== 'assistant') {
    throw badField(`${where}.tool_calls`, calls, 'none in a message that is not of the assistant');
  }
  const parsed = calls.map((call, i) => {
    const at = `${where}.tool_calls[${i}].function.arguments`;
    return { ...call, function: { ...call.function, arguments: argumentsOf(call.function, at) } };
  });
  return { ...rest, role, content: content ?? '', tool_calls: parsed };
}

function textOf(content: MessageBody['content'], where: string): string | undefined {
  if (content === undefined || typeof content === 'string') return content;
  const texts = content.map((part, i) => {
    if (part.type !== 'text') {
      throw unsupported(
        `${where}[${i}].type`,
        `${JSON.stringify(part.type)} parts; the model reads text only`,
      );
    }
    const { text } = part;
    if (typeof text !== 'string') throw badField(`${where}[${i}].text`, text, 'text');
    return text;
  });
  return texts.join('\n');
}

/** Templates write arguments as JSON themselves: a text would be quoted twice. */
function argumentsOf({ arguments: given }: { arguments?: unknown }, where: string): unknown {
  if (typeof given !== 'string') return given ?? {};
  if (given.trim() === '') return {};
  try {
    return JSON.parse(given);
  } catch {
    throw badField(where, given, 'JSON');
  }
}

/** More characters to a token than any text has on average. */
const CHARACTERS_OF_TOKEN = 16;

/**
 * Refuses a text that cannot fit into the context before it is encoded: that takes microseconds for
 * each character, during which the server does nothing else.
 */
export function requireRoom(param: string, characters: number, context: number): void {
  if (characters <= context * CHARACTERS_OF_TOKEN) return;
  throw new ApiError(
    400,
    `${param} has ${characters} characters, more than fit into the model's context of ${context} ` +
      'tokens: shorten it',
    { param, code: 'context_length_exceeded' },
  );
}

/** What the tokenizer or the template refuses is the request's fault. */
export function refusing(param: string, encode: () => Int32Array): Int32Array {
  try {
    return encode();
  } catch (error) {
    throw new ApiError(400, `${param}: ${(error as Error).message}`, { param });
  }
}
