import { homedir } from 'node:os';
import { join } from 'node:path';
import type { LlamaConfig } from '../models/index.ts';

/**
 * A folder of what benches keep between runs, outside of the repository: `peers`, the libraries to
 * compare with, and `models`, files of random weights. It may be deleted at any time.
 */
export function benchCache(part: 'peers' | 'models'): string {
  const root = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return join(root, 'tersor-bench', part);
}

/** Counts up whenever models would be written otherwise than before. */
const FORMAT = 1;

/** The path, without ending, of a kept llama of these sizes. */
export function keptLlama(config: LlamaConfig, scheme: string): string {
  const sizes = [
    ...[config.num_hidden_layers, config.hidden_size, config.intermediate_size],
    ...[config.num_attention_heads, config.num_key_value_heads],
    ...[config.vocab_size, config.max_position_embeddings],
  ];
  return join(benchCache('models'), `llama-${sizes.join('-')}-${scheme}-v${FORMAT}`);
}
