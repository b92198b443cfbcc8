import { nextTokenLoss } from '../models/loss.ts';
import { Embedding, Linear, LSTM, Module, RNN } from '../nn/index.ts';
import { mseLoss } from '../tensor/functions/index.ts';
import { concat, full, type Tensor } from '../tensor/index.ts';

export type CellName = 'RNN' | 'LSTM';

function cellOf(name: CellName, inputs: number, hidden: number, batchFirst: boolean): RNN | LSTM {
  const cell = new (name === 'RNN' ? RNN : LSTM)(inputs, hidden, { batchFirst });
  if (cell instanceof LSTM) openForgetGates(cell, hidden);
  return cell;
}

/** Forget gates begin open, so that the past is kept until it is learnt what to drop (Gers et al. 2000). */
function openForgetGates(cell: LSTM, hidden: number): void {
  const bias = cell.bias_hh_l0;
  if (!bias) return;
  using ones = full([hidden], 1);
  // Rows of the gates: input, forget, cell, output.
  const old = bias.value;
  using opened = concat([old.narrow(0, 0, hidden), ones, old.narrow(0, 2 * hidden, 2 * hidden)], 0);
  bias.set(opened);
}

/** Reads a sequence of vectors to its end and gives one number. */
export class SequenceRegressor extends Module {
  readonly cell: RNN | LSTM;
  readonly out: Linear;

  constructor(name: CellName, inputs: number, hidden: number) {
    super();
    this.cell = cellOf(name, inputs, hidden, false);
    this.out = new Linear(hidden, 1, { bias: true, std: 1 / Math.sqrt(hidden) });
  }

  /** x [time, batch, inputs] to [batch] */
  forward(x: Tensor): Tensor {
    const { h } = this.cell.forward(x);
    return this.out.forward(h.select(0, 0)).reshape([-1]);
  }

  /** Mean squared error against targets [batch]. */
  loss(x: Tensor, y: Tensor): Tensor {
    return mseLoss(this.forward(x), y);
  }
}

/** A recurrent model of the next character. */
export class RecurrentCharacterModel extends Module {
  readonly embed: Embedding;
  readonly cell: RNN | LSTM;
  readonly head: Linear;

  constructor(name: CellName, vocabulary: number, width: number, hidden: number) {
    super();
    this.embed = new Embedding(vocabulary, width, { std: 1 });
    this.cell = cellOf(name, width, hidden, true);
    this.head = new Linear(hidden, vocabulary, { bias: true, std: 1 / Math.sqrt(hidden) });
  }

  /** Tokens and targets [batch, time]; mean cross-entropy in nats. */
  loss(inputs: Tensor, targets: Tensor): Tensor {
    const { output } = this.cell.forward(this.embed.forward(inputs));
    return nextTokenLoss(this.head.forward(output), targets);
  }
}
