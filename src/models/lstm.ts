import { badArgument } from '../base/errors.ts';
import { Dropout, Embedding, type InitOptions, Linear, LSTM, Module } from '../nn/index.ts';
import { type Device, type Tensor, zeros } from '../tensor/index.ts';
import { nextTokenLoss } from './loss.ts';

/** The sizes of an LSTM language model. */
export interface LSTMConfig {
  readonly vocab_size: number;
  /** Numbers of a token's vector (default: hidden_size). */
  readonly embedding_size: number;
  readonly hidden_size: number;
  readonly num_layers: number;
  /** Longest sequence of one call: its steps are unrolled (default 256). */
  readonly max_position_embeddings: number;
  /** Behind the embedding and each layer, in training (default 0). */
  readonly dropout: number;
  /** The output layer is the embedding table (default false). */
  readonly tie_word_embeddings: boolean;
}

/** Fills in what is not said. */
export function lstmConfig(
  sizes: Pick<LSTMConfig, 'vocab_size' | 'hidden_size'> & Partial<LSTMConfig>,
): LSTMConfig {
  const config = {
    embedding_size: sizes.hidden_size,
    num_layers: 1,
    max_position_embeddings: 256,
    dropout: 0,
    tie_word_embeddings: false,
    ...sizes,
  };
  const { embedding_size, hidden_size, tie_word_embeddings: tied } = config;
  if (tied && embedding_size !== hidden_size) {
    const expected = `${hidden_size}, the hidden_size, with tie_word_embeddings`;
    throw badArgument('lstmConfig', 'embedding_size', embedding_size, expected);
  }
  return config;
}

/** What an LSTM knows of a text so far, each [layers, batch, hidden]. */
export interface LSTMState {
  readonly h: Tensor;
  readonly c: Tensor;
}

/**
 * A language model of stacked LSTM layers (Mikolov et al. 2010; Zaremba et al. 2014): embedding,
 * layers, output. It has the methods of `CausalLM` but for caches: the past of a text is two arrays,
 * which `advance` takes and gives.
 *
 * @example
 * let state = model.newState(1);
 * for (;;) {
 *   const { logits, state: next } = await step(token, state); // jit of model.advance
 *   ...
 * }
 */
export class LSTMLanguageModel extends Module {
  readonly type = 'lstm';
  readonly config: LSTMConfig;
  readonly embedding: Embedding;
  readonly lstm: LSTM;
  readonly decoder: Linear | undefined;
  readonly dropout: Dropout;

  /** Recurrent weights begin uniform within 1 / sqrt(hidden), the others normal with deviation 0.02. */
  constructor(config: LSTMConfig, options: InitOptions = {}) {
    super();
    const { vocab_size, embedding_size, hidden_size, num_layers: layers, dropout } = config;
    this.config = config;
    this.embedding = new Embedding(vocab_size, embedding_size, options);
    this.lstm = new LSTM(embedding_size, hidden_size, {
      ...options,
      layers,
      dropout,
      batchFirst: true,
    });
    this.decoder = config.tie_word_embeddings
      ? undefined
      : new Linear(hidden_size, vocab_size, { ...options, bias: true });
    this.dropout = new Dropout(dropout);
  }

  get device(): Device {
    return this.embedding.device;
  }

  /** The state before a text, for `batch` of them. */
  newState(batch = 1): LSTMState {
    const shape = [this.config.num_layers, batch, this.config.hidden_size];
    const make = () => zeros(shape, { device: this.device });
    return { h: make(), c: make() };
  }

  /** Tokens [batch, time] i32 to what the output layer sees, [batch, time, hidden]. */
  hidden(tokens: Tensor): Tensor {
    return this.#run(tokens).hidden;
  }

  /** Hidden states [..., hidden] to logits [..., vocabulary]. */
  head(hidden: Tensor): Tensor {
    return this.decoder ? this.decoder.forward(hidden) : this.embedding.project(hidden);
  }

  /** Tokens [batch, time] i32 to logits [batch, time, vocabulary]. */
  forward(tokens: Tensor): Tensor {
    return this.head(this.hidden(tokens));
  }

  /** As `forward`, for tokens that continue a text; with the state behind them. */
  advance(
    tokens: Tensor,
    past?: LSTMState,
  ): { readonly logits: Tensor; readonly state: LSTMState } {
    const { hidden, state } = this.#run(tokens, past);
    return { logits: this.head(hidden), state };
  }

  /**
   * Mean cross-entropy of the next tokens, in nats; inputs, targets and weights [batch, time]. With
   * weights each target counts by its own, and the mean is over their sum.
   */
  loss(inputs: Tensor, targets: Tensor, weights?: Tensor): Tensor {
    return nextTokenLoss(this.forward(inputs), targets, weights);
  }

  #run(tokens: Tensor, past?: LSTMState) {
    const longest = this.config.max_position_embeddings;
    if (tokens.rank !== 2 || (tokens.shape[1] as number) > longest) {
      const expected = `a shape [batch, time], time up to ${longest}`;
      throw badArgument('LSTMLanguageModel', 'tokens', tokens.shape, expected);
    }
    const x = this.dropout.forward(this.embedding.forward(tokens));
    const { output, h, c } = this.lstm.forward(x, past);
    return { hidden: this.dropout.forward(output), state: { h, c } };
  }

  toConfig(): Record<string, unknown> {
    return { model_type: this.type, ...this.config };
  }
}
