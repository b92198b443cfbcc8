import type { CharacterTokenizer } from '../data/index.ts';
import { characterTokenizer } from '../io/tokenizer/characters.ts';
import type { CausalLM, Pretrained } from '../models/index.ts';

/** A model of characters as what an engine takes: the ids are the same. */
export function characterModel(model: CausalLM, { characters }: CharacterTokenizer): Pretrained {
  return {
    model,
    tokenizer: characterTokenizer(characters.join('')),
    generation: {},
  };
}
