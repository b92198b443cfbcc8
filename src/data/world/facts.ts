import type { SeededRandom } from '../random.ts';
import { hashText } from '../random.ts';
import type { Exchange } from './exchange.ts';
import type { Entity, Relation } from './facts-of-the-world.ts';
import { FAMILIES } from './facts-of-the-world.ts';

/** Exchanges of one kind, split into those for training and those held out. */
export interface Split {
  readonly training: readonly Exchange[];
  readonly heldOut: readonly Exchange[];
}

/**
 * Every fact in every phrasing. Of each fact exactly one phrasing, chosen by hash, is held out:
 * the fact is still asked in the others, and the phrasing is still used for other facts.
 */
export function factSplit(): Split {
  const training: Exchange[] = [];
  const heldOut: Exchange[] = [];
  for (const { relations, entities } of FAMILIES) {
    for (const entity of entities) {
      for (const relation of relations) {
        const out = hashText(`fact ${entity.name} ${relation.name}`) % relation.askings.length;
        relation.askings.forEach((asking, index) => {
          (index === out ? heldOut : training).push({
            kind: 'fact',
            skill: relation.name,
            question: asking.replace('NAME', entity.name),
            answer: stateFact(entity, relation),
            value: entity.values[relation.name] as string,
          });
        });
      }
    }
  }
  return { training, heldOut };
}

/** A line that describes one entity: two or three statements in random order. */
export function describeEntity(random: SeededRandom): string {
  const { relations, entities } = random.pick(FAMILIES);
  const entity = random.pick(entities);
  return random
    .shuffled(relations)
    .slice(0, 3)
    .map((relation) => {
      return stateFact(entity, relation);
    })
    .join(' ');
}

function stateFact(entity: Entity, relation: Relation): string {
  return relation.statement
    .replace('NAME', entity.name)
    .replace('VALUE', entity.values[relation.name] as string);
}
