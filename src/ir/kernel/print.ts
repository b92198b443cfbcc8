import type { Atom, Index } from './index-expr.ts';
import { isTileStatement } from './tiles.ts';
import type { Buffer, Kernel, Loop, Mask, Statement, TileStatement, Value } from './types.ts';

/**
 * A kernel as text, one statement a line, everything numbered in order of appearance: %0 values,
 * i0 loops, b0 argument buffers, l0 local buffers, $0 vars. The first line alone holds names; the
 * rest is `kernelKey`.
 */
export function printKernel(kernel: Kernel): string {
  const names = (list: readonly { readonly name: string }[], prefix: string) =>
    list.map(({ name }, i) => ` ${prefix}${i}=${name}`).join('');
  const { buffers, locals, vars } = kernel;
  const head = names(buffers, 'b') + names(locals, 'l') + names(vars, '$');
  return `kernel ${kernel.name}${head}\n${kernelKey(kernel)}`;
}

/**
 * All of a kernel but its names: kernels with equal keys do the same to the same arguments, so the
 * code of one serves the other.
 */
export function kernelKey(kernel: Kernel): string {
  return new Printer(kernel).print();
}

/** One statement as `printKernel` shows it; of a loop, its first line. */
export function printStatement(kernel: Kernel, statement: Statement): string {
  const printer = new Printer(kernel, statement);
  printer.print();
  return printer.found ?? statement.kind;
}

/** An index as `printKernel` shows it at the end of the kernel: loops and values by its numbers. */
export function printIndex(kernel: Kernel, index: Index): string {
  const printer = new Printer(kernel);
  printer.print();
  return printer.index(index);
}

class Printer {
  /** The line of the statement that was asked for. */
  found: string | undefined;
  readonly #kernel: Kernel;
  readonly #wanted: Statement | undefined;
  readonly #values = new Map<number, number>();
  readonly #loops = new Map<number, number>();
  readonly #buffers = new Map<Buffer, string>();
  readonly #vars = new Map<string, number>();
  /** An index is often shared by loads, stores and masks. */
  readonly #indices = new Map<Index, string>();
  #text = '';

  constructor(kernel: Kernel, wanted?: Statement) {
    this.#kernel = kernel;
    this.#wanted = wanted;
    kernel.buffers.forEach((b, i) => {
      this.#buffers.set(b, `b${i}`);
    });
    kernel.locals.forEach((b, i) => {
      this.#buffers.set(b, `l${i}`);
    });
    kernel.vars.forEach((v, i) => {
      this.#vars.set(v.name, i);
    });
  }

  print(): string {
    const { buffers, locals, vars, checks, body } = this.#kernel;
    for (const b of buffers) this.#line('', `${this.#buffer(b)} ${b.role} ${b.dtype}[${b.size}]`);
    for (const b of locals) this.#line('', `${this.#buffer(b)} ${b.role} ${b.dtype}[${b.size}]`);
    vars.forEach((v, i) => {
      this.#line('', `$${i} ${v.min}..${v.max}`);
    });
    checks.forEach((text, i) => {
      this.#line('', `#${i} ${JSON.stringify(text)}`);
    });
    this.#block(body, '');
    return this.#text;
  }

  #line(indent: string, text: string): void {
    this.#text += `${indent}${text}\n`;
  }

  #block(statements: readonly Statement[], indent: string): void {
    for (const statement of statements) {
      let text: string;
      if (statement.kind === 'loop') text = this.#loopHead(statement);
      else if (isTileStatement(statement)) text = this.#tile(statement);
      else if (statement.kind === 'prefetch') {
        text = `prefetch ${this.#buffer(statement.buffer)}[${this.index(statement.index)}]`;
      } else if (statement.kind === 'store') {
        const { buffer, index, value, mask } = statement;
        text =
          `store ${this.#buffer(buffer)}[${this.index(index)}] ${this.#use(value)}` +
          this.#mask(mask);
      } else {
        // What it uses comes first: only then does it get its own number.
        const expression = this.#expression(statement);
        text = `${this.#define(statement)} = ${expression}`;
      }
      if (statement === this.#wanted) this.found = text;
      this.#line(indent, text);
      if (statement.kind === 'loop') this.#loopRest(statement, indent);
    }
  }

  #tile(statement: TileStatement): string {
    switch (statement.kind) {
      case 'tileZero':
        return `tileZero t${statement.tile}`;
      case 'tileDot':
        return `tileDot ${statement.of} t${statement.sum} t${statement.a} t${statement.b}`;
      case 'tileLoad':
      case 'tileStore': {
        const { kind, tile, buffer, index, stride } = statement;
        return `${kind} t${tile} ${this.#buffer(buffer)}[${this.index(index)}] by ${stride}`;
      }
      default:
        return statement satisfies never;
    }
  }

  #loopHead(loop: Loop): string {
    const { atom, loopKind, carried } = loop;
    const extent = this.index(atom.extent);
    const number = this.#loops.size;
    this.#loops.set(atom.id, number);
    const starts = carried.map(({ init, inside }) => {
      const from = this.#use(init);
      return ` ${this.#define(inside)} = ${from}`;
    });
    return `${loopKind} i${number} < ${extent}${starts.join(',')}`;
  }

  #loopRest(loop: Loop, indent: string): void {
    this.#block(loop.body, `${indent}  `);
    if (loop.carried.length === 0) {
      // The indentation alone shows the end.
      return;
    }
    const nexts = loop.carried.map((c) => this.#use(c.next));
    const results = loop.carried.map((c) => this.#define(c.result));
    this.#line(indent, `next ${nexts.join(', ')} -> ${results.join(', ')}`);
  }

  #define(value: Value): string {
    const number = this.#values.size;
    this.#values.set(value.id, number);
    return `%${number}:${value.dtype}${value.lanes === 1 ? '' : `x${value.lanes}`}`;
  }

  #use(value: Value): string {
    return this.#reference(value.id);
  }

  /** Broken kernels are printed too, in the verifier's messages: what is unknown has a mark. */
  #reference(id: number): string {
    const number = this.#values.get(id);
    return number === undefined ? `%?${id}` : `%${number}`;
  }

  #buffer(buffer: Buffer): string {
    return this.#buffers.get(buffer) ?? `?${buffer.name}`;
  }

  #mask(mask: Mask): string {
    if (mask.length === 0) return '';
    return ` if ${mask.map((m) => `${this.index(m)} >= 0`).join(', ')}`;
  }

  #expression(value: Value): string {
    switch (value.kind) {
      case 'const':
        return `const ${numberText(value.value)}`;
      case 'index':
        return `index ${this.index(value.index)}${stepText(value.step)}`;
      case 'load': {
        const { buffer, index, step, mask, other } = value;
        const at = `load ${this.#buffer(buffer)}[${this.index(index)}${stepText(step)}]`;
        return mask.length === 0 ? at : `${at}${this.#mask(mask)} else ${numberText(other)}`;
      }
      case 'words':
        return `words ${this.#buffer(value.buffer)}[${this.index(value.index)}]`;
      case 'unary':
        return `${value.fn} ${this.#use(value.a)}`;
      case 'binary':
      case 'compare':
        return `${value.fn} ${this.#use(value.a)} ${this.#use(value.b)}`;
      case 'select':
        return `select ${this.#use(value.condition)} ${this.#use(value.a)} ${this.#use(value.b)}`;
      case 'fma':
        return `fma ${this.#use(value.a)} ${this.#use(value.b)} ${this.#use(value.c)}`;
      case 'byteDot': {
        const [a, b] = [value.a, value.b].map((list) => list.map((x) => this.#use(x)));
        return `byteDot ${a.join(' ')} by ${b.join(' ')} from ${this.#use(value.start)}`;
      }
      case 'pairs':
        return `pairs ${value.order} ${this.#use(value.a)} ${this.#use(value.b)}`;
      case 'pairDot':
        return `pairDot ${this.#use(value.a)} ${this.#use(value.b)} ${this.#use(value.c)}`;
      case 'convert':
      case 'bitcast':
      case 'splat':
        return `${value.kind} ${this.#use(value.a)}`;
      case 'pack':
        return `pack ${value.items.map((item) => this.#use(item)).join(' ')}`;
      case 'shuffle':
        return `shuffle ${this.#use(value.a)} ${this.#use(value.b)} ${value.places.join(',')}`;
      case 'lane':
        return `lane ${this.#use(value.a)} ${value.lane}`;
      case 'checked':
        return value.check === undefined
          ? `proven ${this.#use(value.a)} < ${value.size}`
          : `checked ${this.#use(value.a)} < ${value.size} #${value.check}`;
      case 'carried':
      case 'result':
        return value.kind;
      default:
        return value satisfies never;
    }
  }

  /** Terms are sorted again: their order in an Index follows ids that the text does not show. */
  index(index: Index): string {
    const known = this.#indices.get(index);
    if (known !== undefined) return known;
    const parts = index.terms.map(({ atom, coefficient }) => {
      const name = this.#atom(atom);
      return coefficient === 1 ? name : `${coefficient}*${name}`;
    });
    if (parts.length > 1) parts.sort();
    const text = sumText(parts.join(' + '), index.constant);
    this.#indices.set(index, text);
    return text;
  }

  #atom(atom: Atom): string {
    switch (atom.kind) {
      case 'loop': {
        const number = this.#loops.get(atom.id);
        return number === undefined ? `i?${atom.id}` : `i${number}`;
      }
      case 'var':
        return `$${this.#vars.get(atom.variable.name) ?? `?${atom.variable.name}`}`;
      case 'lane':
        return 'lane';
      case 'div':
        return `(${this.index(atom.of)})/${atom.by}`;
      case 'mod':
        return `(${this.index(atom.of)})%${atom.by}`;
      case 'data':
        return this.#reference(atom.value);
      default:
        return atom satisfies never;
    }
  }
}

function sumText(terms: string, constant: number): string {
  if (terms === '') return String(constant);
  if (constant === 0) return terms;
  return constant < 0 ? `${terms} - ${-constant}` : `${terms} + ${constant}`;
}

/** The shortest text that gives the same number back, -0 and NaN too. */
function numberText(x: number): string {
  return Object.is(x, -0) ? '-0' : String(x);
}

function stepText(step: number): string {
  return step === 0 ? '' : ` : ${step}`;
}
