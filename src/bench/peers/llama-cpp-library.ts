import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AbsentPeer, INSTALL } from './absent.ts';
import { type Koffi, koffi, type NativeLibrary } from './koffi.ts';
import { peerFolder } from './packages.ts';

/** A model with a context, as llama.cpp holds them. */
export interface LlamaCpp {
  readonly version: string;
  /** Which of its builds for different processors it chose, and what that makes use of. */
  readonly variant: string;
  /** Parameters of the model. */
  readonly parameters: number;
  /** Puts tokens behind those that are there, at most as many as the context has room for. */
  readonly decode: (tokens: Int32Array) => void;
  /** The logits after the last token. */
  readonly logits: () => Float32Array;
  /** Forgets all tokens but the first ones. */
  readonly keep: (count: number) => void;
  readonly tokenize: (text: string) => Int32Array;
  readonly textOf: (token: number) => string;
}

export interface LlamaCppOptions {
  /** A GGUF file. */
  readonly file: string;
  readonly threads: number;
  /** Longest sequence. */
  readonly context: number;
}

/**
 * Structures whose fields differ from version to version are taken as blocks of bytes, longer than
 * any of them: the library itself fills in their defaults, and the only field that is changed comes
 * first. A structure of this size is handed over in memory, so that the length is no matter.
 */
const BLOCK_BYTES = 1024;
/** The first field of a context's settings: how many tokens it has room for. */
const CONTEXT_LENGTH = 0;
/** Tokens that are put in at a time at most. */
const LONGEST = 4096;

const TYPES = {
  settings: 'LlamaCppSettings',
  batch: 'LlamaCppBatch',
} as const;

interface Settings {
  readonly words: Uint32Array;
}

/** @throws AbsentPeer where it is not installed or there is none for this system */
export function llamaCppFolder(): string {
  const system = `${process.platform}-${process.arch}`;
  const absent = (reason: string) => new AbsentPeer('llama.cpp', reason, INSTALL);
  if (process.platform !== 'linux') throw absent(`the bench knows no build for ${system}`);
  if (!koffi()) throw new AbsentPeer('llama.cpp', 'koffi is not installed', 'npm ci installs it');
  const folder = peerFolder(`@node-llama-cpp/${system}`);
  if (!folder) throw absent('it is not installed');
  return join(folder, 'bins', system);
}

/**
 * Loads llama.cpp from the package of node-llama-cpp and opens a model by its C interface, with the
 * settings that its own benchmark has: weights mapped and repacked for the processor, threads kept.
 *
 * @throws Error where the library refuses the file
 */
export function openLlamaCpp({ file, threads, context }: LlamaCppOptions): LlamaCpp {
  const folder = llamaCppFolder();
  const native = koffi();
  if (!native) throw new Error('openLlamaCpp: koffi is gone');
  native.struct(TYPES.settings, { words: native.array('uint32', BLOCK_BYTES / 4) });
  native.struct(TYPES.batch, {
    ...{ count: 'int32', reserved: 'int32', token: 'void *', embedding: 'void *' },
    ...{ position: 'void *', sequences: 'void *', sequence: 'void *', output: 'void *' },
  });
  const files = readdirSync(folder);
  const load = (pattern: RegExp) => {
    const name = files.find((each) => pattern.test(each));
    if (!name) throw new Error(`openLlamaCpp: no file like ${pattern} in ${folder}`);
    return native.load(join(folder, name));
  };
  // In the order of their dependence.
  const base = load(/^libggml-base\./);
  const registry = load(/^libggml(\.v[\d.]+)?\.so/);
  const llama = load(/^libllama(\.v[\d.]+)?\.so/);
  registry.func('void ggml_backend_load_all_from_path(const char *folder)')(folder);
  llama.func('void llama_backend_init()')();

  const defaults = llama.func(`${TYPES.settings} llama_model_default_params()`)();
  const model = llama.func(
    `void *llama_model_load_from_file(const char *path, ${TYPES.settings} settings)`,
  )(file, defaults);
  if (!model) throw new Error(`openLlamaCpp: llama.cpp does not load ${file}`);
  const settings = llama.func(`${TYPES.settings} llama_context_default_params()`)() as Settings;
  settings.words[CONTEXT_LENGTH] = context;
  const state = llama.func(`void *llama_init_from_model(void *model, ${TYPES.settings} settings)`)(
    model,
    settings,
  );
  if (!state) throw new Error('openLlamaCpp: llama.cpp makes no context of the model');
  const build = chosenBuild();
  attachThreads(state, threads, { base, llama, build: native.load(join(folder, build)) });
  return methods({ native, llama, model, state, build });
}

/** The build for a processor that the library chose among those in its folder. */
function chosenBuild(): string {
  const found = readFileSync('/proc/self/maps', 'utf8').match(/libggml-cpu-\w+\.so/);
  if (!found) throw new Error('openLlamaCpp: llama.cpp loaded no build for this processor');
  return found[0];
}

interface Libraries {
  readonly base: NativeLibrary;
  readonly llama: NativeLibrary;
  readonly build: NativeLibrary;
}

/** Threads that stay and spin a little between graphs; without them each graph would start some. */
function attachThreads(state: unknown, threads: number, { base, llama, build }: Libraries): void {
  const settings = base.func(`${TYPES.settings} ggml_threadpool_params_default(int threads)`);
  const pool = build.func(`void *ggml_threadpool_new(${TYPES.settings} *settings)`)(
    settings(threads),
  );
  if (!pool) throw new Error('openLlamaCpp: llama.cpp makes no threads');
  llama.func('void llama_attach_threadpool(void *state, void *pool, void *batches)')(
    state,
    pool,
    pool,
  );
  llama.func('void llama_set_n_threads(void *state, int threads, int batches)')(
    state,
    threads,
    threads,
  );
}

interface Opened {
  readonly native: Koffi;
  readonly llama: NativeLibrary;
  readonly model: unknown;
  readonly state: unknown;
  readonly build: string;
}

function methods({ native, llama, model, state, build }: Opened): LlamaCpp {
  const vocabulary = llama.func('void *llama_model_get_vocab(void *model)')(model);
  const words = llama.func('int llama_vocab_n_tokens(void *vocabulary)')(vocabulary) as number;
  const batchOf = llama.func(`${TYPES.batch} llama_batch_get_one(int32_t *tokens, int count)`);
  const decode = llama.func(`int llama_decode(void *state, ${TYPES.batch} batch)`);
  const synchronize = llama.func('void llama_synchronize(void *state)');
  const memory = llama.func('void *llama_get_memory(void *state)')(state);
  const remove = llama.func(
    'bool llama_memory_seq_rm(void *memory, int sequence, int from, int to)',
  );
  const logits = llama.func('void *llama_get_logits_ith(void *state, int index)');
  const tokenize = llama.func(
    'int llama_tokenize(void *vocabulary, const char *text, int length, _Out_ int32_t *tokens, ' +
      'int room, bool add_special, bool parse_special)',
  );
  const piece = llama.func(
    'int llama_token_to_piece(void *vocabulary, int token, _Out_ uint8_t *text, int room, ' +
      'int skip, bool special)',
  );
  const features = String(llama.func('const char *llama_print_system_info()')());
  // The batch points to the tokens, so they lie in memory that stays.
  const tokens = native.alloc('int32_t', LONGEST);
  return {
    version: String(llama.func('const char *llama_version()')()),
    variant: `${build}: ${features.match(/\w+(?= = 1)/g)?.join(' ')}`,
    parameters: Number(llama.func('uint64_t llama_model_n_params(void *model)')(model)),
    decode: (given) => {
      native.encode(tokens, native.array('int32_t', given.length), given);
      const code = decode(state, batchOf(tokens, given.length));
      if (code !== 0) throw new Error(`llama.cpp: decoding ${given.length} tokens gives ${code}`);
      synchronize(state);
    },
    logits: () => native.decode(logits(state, -1), native.array('float', words)) as Float32Array,
    keep: (count) => {
      if (!remove(memory, 0, count, -1)) {
        throw new Error(`llama.cpp: it cannot go back to ${count} tokens`);
      }
    },
    tokenize: (text) => {
      const found = new Int32Array(LONGEST);
      const bytes = Buffer.byteLength(text);
      const count = tokenize(vocabulary, text, bytes, found, found.length, true, false) as number;
      if (count < 0) throw new Error(`llama.cpp: the text has ${-count} tokens; ${LONGEST} fit`);
      return found.subarray(0, count);
    },
    textOf: (token) => {
      const text = new Uint8Array(256);
      const length = piece(vocabulary, token, text, text.length, 0, true) as number;
      return Buffer.from(text.subarray(0, Math.max(0, length))).toString();
    },
  };
}
