/** What a model wrote, with its calls of tools taken out. */
export type Written =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'call'; readonly name: string; readonly arguments: string };

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

/**
 * Finds calls in the form of Hermes and Qwen, `<tool_call>{"name": ..., "arguments": {...}}
 * </tool_call>`, in a text that comes piece by piece. What may be the beginning of one is held back;
 * what turns out to be none is text.
 */
export class ToolCallParser {
  #held = '';
  #inside = false;
  #called = false;

  /** Whether there has been a call. */
  get called(): boolean {
    return this.#called;
  }

  push(piece: string): Written[] {
    this.#held += piece;
    const found: Written[] = [];
    for (;;) {
      const mark = this.#inside ? CLOSE : OPEN;
      const at = this.#held.indexOf(mark);
      if (at < 0) break;
      const before = this.#held.slice(0, at);
      this.#held = this.#held.slice(at + mark.length);
      if (this.#inside) found.push(this.#call(before));
      else this.#text(before, found);
      this.#inside = !this.#inside;
    }
    if (!this.#inside) {
      // Spaces may stand before a call, and belong to it then.
      const keep = this.#held.length - /\s*(?:<[a-z_]*)?$/.exec(this.#held)!.index;
      const tail = this.#held.slice(this.#held.length - keep);
      const held = OPEN.startsWith(tail.trimStart()) ? keep : 0;
      const text = this.#held.slice(0, this.#held.length - held);
      this.#held = this.#held.slice(this.#held.length - held);
      if (text !== '') found.push({ type: 'text', text });
    }
    return found;
  }

  /** What was held back, when nothing more will come. */
  end(): Written[] {
    const rest = this.#inside ? `${OPEN}${this.#held}` : this.#held;
    this.#held = '';
    this.#inside = false;
    const only = this.#called && rest.trim() === '';
    return rest === '' || only ? [] : [{ type: 'text', text: rest }];
  }

  #text(before: string, found: Written[]): void {
    if (before.trim() !== '') found.push({ type: 'text', text: before.trimEnd() });
  }

  #call(source: string): Written {
    const call = parseCall(source);
    if (call === undefined) return { type: 'text', text: `${OPEN}${source}${CLOSE}` };
    this.#called = true;
    return call;
  }
}

function parseCall(source: string): Written | undefined {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    return undefined;
  }
  const { name, arguments: given = {} } = (value ?? {}) as Record<string, unknown>;
  if (typeof name !== 'string' || typeof given !== 'object' || given === null) return undefined;
  return { type: 'call', name, arguments: JSON.stringify(given) };
}
