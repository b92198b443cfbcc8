import { generate, Llama, llamaConfig, random, trainLanguageModel } from 'tersor';
import { characterTokenizer } from 'tersor/tokenizers';

const [form, source, steps, train, stop, state, curve, written] = [
  'form',
  '#source',
  '#steps',
  '#train',
  '#stop',
  '#state',
  '#curve',
  '#text',
].map((selector) => document.querySelector(selector));
const CONTEXT = 64;

/** The loss of each step as a curve, from 0 at the foot to the largest at the top. */
function draw(losses) {
  const [left, right, top, bottom] = [40, 630, 10, 190];
  const most = Math.max(...losses);
  const points = losses.map((loss, i) => {
    const x = left + ((right - left) * i) / Math.max(1, losses.length - 1);
    return `${x.toFixed(1)},${(bottom - ((bottom - top) * loss) / most).toFixed(1)}`;
  });
  curve.innerHTML = `
    <line x1="${left}" y1="${bottom}" x2="${right}" y2="${bottom}" />
    <line x1="${left}" y1="${top}" x2="${left}" y2="${bottom}" />
    <text x="0" y="${top + 8}">${most.toFixed(2)}</text>
    <text x="0" y="${bottom}">0</text>
    <text x="${left}" y="${bottom + 20}">loss of steps 1 to ${losses.length}</text>
    <polyline points="${points.join(' ')}" />`;
}

async function run(signal) {
  // Repeated, so that a short text also fills the windows that the model is trained on.
  const text = `${source.value.trim()}\n`;
  const corpus = text.repeat(Math.ceil(4000 / text.length));
  const tokenizer = characterTokenizer(corpus);
  random.seed(1);
  const model = new Llama(
    llamaConfig({
      vocab_size: tokenizer.size,
      hidden_size: 64,
      intermediate_size: 160,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      max_position_embeddings: CONTEXT,
    }),
  );
  try {
    const losses = [];
    await trainLanguageModel({
      model,
      tokens: tokenizer.encode(corpus),
      options: { steps: Number(steps.value), batch: 8, sequence: CONTEXT, lr: 5e-3 },
      signal,
      onProgress: ({ step, steps: all, loss, tokensPerSecond }) => {
        losses.push(loss);
        const speed = Math.round(tokensPerSecond).toLocaleString();
        state.textContent = `Step ${step} of ${all}: loss ${loss.toFixed(3)}, ${speed} tokens/s`;
        draw(losses);
      },
    });
    // It writes until its context is full.
    const options = { temperature: 0.5 };
    const pretrained = { model, tokenizer, generation: {} };
    for await (const piece of generate(pretrained, '\n', options)) written.append(piece);
    state.textContent = `Done. ${state.textContent}`;
  } finally {
    model.dispose();
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const stopping = new AbortController();
  stop.onclick = () => stopping.abort();
  written.textContent = '';
  train.disabled = true;
  stop.disabled = false;
  try {
    await run(stopping.signal);
  } catch (error) {
    state.textContent = String(error);
  } finally {
    train.disabled = false;
    stop.disabled = true;
  }
});
