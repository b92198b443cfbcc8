import { type AddedToken, parseAddedToken } from './added-tokens.ts';
import { type ChatTemplates, parseTemplates } from './chat-template.ts';
import { Fields, type Part } from './fields.ts';

/** The files of a HuggingFace directory that concern text, by content. */
export interface TokenizerFiles {
  readonly tokenizerJson: string;
  readonly tokenizerConfig?: string | undefined;
  /** chat_template.jinja, which goes before a template in the config. */
  readonly chatTemplate?: string | undefined;
  readonly specialTokensMap?: string | undefined;
  /** Names ids that end a text beside the tokenizer's own. */
  readonly generationConfig?: string | undefined;
  /** Where the files lie, for errors. */
  readonly folder?: string | undefined;
}

/** What the files say, checked. */
export interface TokenizerDescription {
  readonly fields: Fields;
  readonly tokenizer: Part;
  readonly added: readonly AddedToken[];
  readonly templates: ChatTemplates;
  /** Texts of special tokens by role, such as bos_token. */
  readonly roles: Readonly<Record<string, string>>;
  /** Ids that end a text, as generation_config.json has them. */
  readonly endIds: readonly number[];
}

const ROLES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/** @throws Error naming file and field for what is damaged or not known */
export function describeFiles(files: TokenizerFiles): TokenizerDescription {
  const named = (name: string): Fields =>
    new Fields(files.folder === undefined ? name : `${files.folder.replace(/\/$/, '')}/${name}`);
  const fields = named('tokenizer.json');
  const tokenizer = fields.parse(files.tokenizerJson);
  const configFields = named('tokenizer_config.json');
  const config = configFields.parse(files.tokenizerConfig ?? '{}');
  const mapFields = named('special_tokens_map.json');
  const map = mapFields.parse(files.specialTokensMap ?? '{}');

  const roles: Record<string, string> = {};
  for (const role of ROLES) {
    const text = roleText(configFields, config, role) ?? roleText(mapFields, map, role);
    if (text !== undefined) roles[role] = text;
  }
  const extra = [
    ...extraTexts(configFields, config, 'additional_special_tokens'),
    ...extraTexts(configFields, config, 'extra_special_tokens'),
    ...extraTexts(mapFields, map, 'additional_special_tokens'),
  ];
  const added = addedTokens(fields, tokenizer, configFields, config);
  return {
    fields,
    tokenizer,
    added: withNamed(added, [...Object.values(roles), ...extra], vocabularyId(tokenizer)),
    templates:
      files.chatTemplate === undefined
        ? parseTemplates(configFields, config['chat_template'])
        : new Map([['default', files.chatTemplate]]),
    roles,
    endIds: endIds(named('generation_config.json'), files.generationConfig),
  };
}

function roleText(fields: Fields, part: Part, role: string): string | undefined {
  const value = part[role];
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string'
    ? value
    : fields.text(fields.part(value, role)['content'], `${role}.content`);
}

/** A list of texts or tokens, or an object of them by name. */
function extraTexts(fields: Fields, part: Part, name: string): string[] {
  const value = part[name];
  if (value === undefined || value === null) return [];
  const entries = Array.isArray(value) ? value : Object.values(fields.part(value, name));
  return entries.map((entry, index) =>
    typeof entry === 'string'
      ? entry
      : fields.text(
          fields.part(entry, `${name}[${index}]`)['content'],
          `${name}[${index}].content`,
        ),
  );
}

/** Those of tokenizer.json; of the config's only what the former lacks. */
function addedTokens(
  fields: Fields,
  tokenizer: Part,
  configFields: Fields,
  config: Part,
): AddedToken[] {
  const tokens = fields
    .list(tokenizer['added_tokens'] ?? [], 'added_tokens')
    .map((entry, index) => parseAddedToken(fields, entry, `added_tokens[${index}]`));
  const known = new Set(tokens.map(({ content }) => content));
  const table = configFields.optionalPart(config['added_tokens_decoder'], 'added_tokens_decoder');
  for (const [key, entry] of Object.entries(table ?? {})) {
    const field = `added_tokens_decoder[${JSON.stringify(key)}]`;
    const id = configFields.id(/^\d+$/.test(key) ? Number(key) : key, field);
    const token = parseAddedToken(configFields, entry, field, id);
    if (!known.has(token.content)) tokens.push(token);
  }
  return tokens;
}

/** Tokens that have a role are special, also where they are in the vocabulary only. */
function withNamed(
  added: readonly AddedToken[],
  named: readonly string[],
  idOf: (token: string) => number | undefined,
): AddedToken[] {
  const special = new Set(named);
  const known = new Set(added.map(({ content }) => content));
  const more: AddedToken[] = [];
  for (const content of special) {
    const id = known.has(content) ? undefined : idOf(content);
    if (id !== undefined) {
      const bare = { singleWord: false, lstrip: false, rstrip: false, normalized: false };
      more.push({ id, content, special: true, ...bare });
    }
  }
  return [
    ...added.map((token) => (special.has(token.content) ? { ...token, special: true } : token)),
    ...more,
  ];
}

function vocabularyId(tokenizer: Part): (token: string) => number | undefined {
  const vocabulary = (tokenizer['model'] as Part | null | undefined)?.['vocab'];
  if (Array.isArray(vocabulary)) {
    const ids = new Map(vocabulary.map((entry: unknown, id) => [(entry as unknown[])?.[0], id]));
    return (token) => ids.get(token);
  }
  const table = (vocabulary ?? {}) as Readonly<Record<string, unknown>>;
  return (token) => {
    const id = Object.hasOwn(table, token) ? table[token] : undefined;
    return typeof id === 'number' ? id : undefined;
  };
}

function endIds(fields: Fields, text: string | undefined): number[] {
  const value = text === undefined ? undefined : fields.parse(text)['eos_token_id'];
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((id, index) =>
    fields.id(id, Array.isArray(value) ? `eos_token_id[${index}]` : 'eos_token_id'),
  );
}
