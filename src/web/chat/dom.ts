type Child = Node | string | undefined;

/** An element with properties and children; texts become text nodes, never markup. */
export function el<K extends keyof HTMLElementTagNameMap>(
  name: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** The element of the page with an id. @throws Error where the page has none of that kind */
export function byId<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (found instanceof kind) return found;
  throw new Error(`the page has no ${kind.name} with the id ${id}`);
}

export function button(label: string, onClick: () => void, name = label): HTMLButtonElement {
  const made = el('button', { type: 'button', className: 'quiet', onclick: onClick }, label);
  if (name !== label) made.setAttribute('aria-label', name);
  return made;
}
