import { HuggingFaceTokenizer } from './tokenizer.ts';
import type { Tokenizer } from './types.ts';

/**
 * A plain template for tokenizers that come without one: each message is a line `<|role|>`, its
 * text and a line end; answers end with the end token, where the tokenizer has one. The marks are
 * ordinary text unless the tokenizer has them as special tokens.
 */
export const PLAIN_CHAT_TEMPLATE =
  '{% for message in messages %}' +
  "{{ '<|' + message.role + '|>\\n' }}" +
  '{% if message.content is string %}{{ message.content }}' +
  '{% elif message.content %}{% for part in message.content %}{{ part.text }}{% endfor %}{% endif %}' +
  "{% if message.role == 'assistant' %}{{ eos_token | default('') }}{% endif %}" +
  "{{ '\\n' }}" +
  '{% endfor %}' +
  "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

/** The same tokenizer with a chat template, which goes into its files. */
export function withChatTemplate(tokenizer: Tokenizer, template: string): HuggingFaceTokenizer {
  const files = tokenizer.files();
  const tokenizerJson = files.get('tokenizer.json');
  if (tokenizerJson === undefined) {
    throw new TypeError(
      'tokenizer has no tokenizer.json among its files; expected one of loadTokenizer, ' +
        'trainTokenizer or characterTokenizer. Pass such a tokenizer.',
    );
  }
  return new HuggingFaceTokenizer({
    tokenizerJson,
    tokenizerConfig: files.get('tokenizer_config.json'),
    specialTokensMap: files.get('special_tokens_map.json'),
    chatTemplate: template,
  });
}
