/** What is known of one entity: the value of each of its relations. */
export interface Entity {
  /** As in a question: 'the cat' or 'ann'. */
  readonly name: string;
  readonly values: Readonly<Record<string, string>>;
}

/** What can be known: the ways to ask for it and the way to state it. */
export interface Relation {
  readonly name: string;
  /** Questions; NAME is the entity. Each relation has the same number of them. */
  readonly askings: readonly [string, string, string];
  /** A sentence; NAME is the entity and VALUE the answer. */
  readonly statement: string;
}

/** Entities that share their relations. */
export interface Family {
  readonly relations: readonly Relation[];
  readonly entities: readonly Entity[];
}

function relation(name: string, direct: string, statement: string): Relation {
  return {
    name,
    askings: [direct, `tell me NAME's ${name}.`, `NAME has which ${name}?`],
    statement,
  };
}

function entities(relations: readonly Relation[], rows: readonly string[]): Entity[] {
  return rows.map((row) => {
    const [name = '', ...values] = row.split(', ');
    return {
      name,
      values: Object.fromEntries(relations.map((each, index) => [each.name, values[index] ?? ''])),
    };
  });
}

const ANIMAL = [
  relation('colour', 'what colour is NAME?', 'NAME is VALUE.'),
  relation('sound', 'what does NAME say?', 'NAME says VALUE.'),
  relation('food', 'what does NAME eat?', 'NAME eats VALUE.'),
];

const VILLAGER = [
  relation('job', 'what does NAME do?', 'NAME is a VALUE.'),
  relation('food', 'what does NAME eat?', 'NAME eats VALUE.'),
  relation('home', 'where does NAME live?', 'NAME lives in VALUE.'),
];

const THING = [
  relation('colour', 'what colour is NAME?', 'NAME is VALUE.'),
  relation('stuff', 'what is NAME made of?', 'NAME is made of VALUE.'),
];

/** Everything that is true in the world, seed or no seed. */
export const FAMILIES: readonly Family[] = [
  {
    relations: ANIMAL,
    entities: entities(ANIMAL, [
      'the ant, black, click, crumbs',
      'the bee, gold, buzz, honey',
      'the cat, grey, meow, fish',
      'the dog, brown, woof, meat',
      'the fox, red, yelp, grapes',
      'the hen, white, cluck, corn',
      'the owl, brown, hoot, mice',
      'the pig, pink, oink, roots',
    ]),
  },
  {
    relations: VILLAGER,
    entities: entities(VILLAGER, [
      'ann, baker, soup, the mill',
      'ben, smith, cheese, the forge',
      'dan, farmer, beans, the barn',
      'eva, teacher, pie, the school',
      'gus, cook, cake, the inn',
      'ida, potter, figs, the castle',
      'joe, miller, bread, the mill',
      'kim, doctor, plums, the tower',
    ]),
  },
  {
    relations: THING,
    entities: entities(THING, [
      'the gem, green, glass',
      'the jug, white, clay',
      'the key, grey, iron',
      'the lid, red, tin',
      'the mug, blue, stone',
      'the net, yellow, rope',
      'the tub, brown, wood',
      'the urn, gold, brass',
    ]),
  },
];
