import { Parameter } from '../tensor/index.ts';

/**
 * A layer or a model: a plain class whose parameters are its properties, and those of the modules
 * (and lists of modules) it holds. Names are the paths to them, as in PyTorch.
 */
export abstract class Module {
  /** Parameters by dotted name, in order of definition; a shared one appears once. */
  parameters(): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    const seen = new Set<Parameter>();
    const visit = (value: unknown, path: string): void => {
      if (value instanceof Parameter) {
        if (!seen.has(value)) found.set(path, value);
        seen.add(value);
      } else if (value instanceof Module) {
        for (const [name, inner] of Object.entries(value))
          visit(inner, path ? `${path}.${name}` : name);
      } else if (Array.isArray(value)) {
        value.forEach((item, i) => {
          visit(item, `${path}.${i}`);
        });
      }
    };
    visit(this, '');
    return found;
  }

  /** Number of trained values. */
  parameterCount(): number {
    return [...this.parameters().values()].reduce((n, p) => n + p.size, 0);
  }

  dispose(): void {
    for (const parameter of this.parameters().values()) parameter.dispose();
  }
}
