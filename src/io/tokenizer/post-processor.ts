import type { Fields, Part } from './fields.ts';

/** What is put around one text, or two that belong together: ids, and the texts by name. */
export interface Frame {
  readonly single: readonly FramePiece[];
  readonly pair: readonly FramePiece[];
}

/** Which text, or which ids; `type` tells the first text from the second. */
export type FramePiece =
  | { readonly text: 'A' | 'B'; readonly type: number }
  | { readonly ids: readonly number[]; readonly type: number };

const BARE: Frame = {
  single: [{ text: 'A', type: 0 }],
  pair: [
    { text: 'A', type: 0 },
    { text: 'B', type: 1 },
  ],
};

/** The post-processor of a tokenizer.json. @throws Error naming the field that is wrong */
export function parseFrame(fields: Fields, value: unknown, field: string): Frame {
  const part = fields.optionalPart(value, field);
  if (part === undefined) return BARE;
  switch (part['type']) {
    case 'Sequence': {
      const frames = fields
        .list(part['processors'], `${field}.processors`)
        .map((entry, index) => parseFrame(fields, entry, `${field}.processors[${index}]`))
        .filter((frame) => frame !== BARE);
      if (frames.length > 1) {
        fields.fail(`${field}.processors`, part['processors'], 'at most one that adds tokens');
      }
      return frames[0] ?? BARE;
    }
    case 'ByteLevel':
      // It moves offsets only.
      return BARE;
    case 'TemplateProcessing':
      return {
        single: template(fields, part, `${field}.single`, part['single']),
        pair: template(fields, part, `${field}.pair`, part['pair']),
      };
    case 'BertProcessing':
    case 'RobertaProcessing': {
      const begin = { ids: [idOf(fields, part['cls'], `${field}.cls`)], type: 0 };
      const id = idOf(fields, part['sep'], `${field}.sep`);
      const second = part['type'] === 'BertProcessing' ? 1 : 0;
      const between = second === 1 ? [id] : [id, id];
      return {
        single: [begin, { text: 'A', type: 0 }, { ids: [id], type: 0 }],
        pair: [
          begin,
          { text: 'A', type: 0 },
          { ids: between, type: 0 },
          { text: 'B', type: second },
          { ids: [id], type: second },
        ],
      };
    }
    default:
      return fields.fail(`${field}.type`, part['type'], 'a known post-processor');
  }
}

/** A token and its id, as a list of two. */
function idOf(fields: Fields, value: unknown, field: string): number {
  return fields.id(fields.list(value, field)[1], `${field}[1]`);
}

function template(fields: Fields, part: Part, field: string, value: unknown): FramePiece[] {
  return fields.list(value, field).map((entry, index) => {
    const name = `${field}[${index}]`;
    const { Sequence: sequence, SpecialToken: special } = fields.part(entry, name);
    if (sequence !== undefined) {
      const { id, type_id: type } = fields.part(sequence, `${name}.Sequence`);
      if (id !== 'A' && id !== 'B') fields.fail(`${name}.Sequence.id`, id, '"A" or "B"');
      return { text: id as 'A' | 'B', type: fields.id(type ?? 0, `${name}.Sequence.type_id`) };
    }
    const { id, type_id: type } = fields.part(special, `${name}.SpecialToken`);
    const key = fields.text(id, `${name}.SpecialToken.id`);
    const table = fields.part(part['special_tokens'], 'post_processor.special_tokens');
    const where = `post_processor.special_tokens[${JSON.stringify(key)}]`;
    const { ids } = fields.part(table[key], where);
    return {
      ids: fields.list(ids, `${where}.ids`).map((own, at) => fields.id(own, `${where}.ids[${at}]`)),
      type: fields.id(type ?? 0, `${name}.SpecialToken.type_id`),
    };
  });
}
