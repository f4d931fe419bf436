import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Common, writeSection, type Yaml } from './write-yaml.ts';

/** A value, and the same with parts of it that are common. */
const { value } = fc.letrec<{ value: [plain: Yaml, common: Yaml] }>((tie) => ({
  value: fc
    .tuple(
      fc.oneof(
        { maxDepth: 4 },
        fc.oneof(fc.string(), fc.integer(), fc.constant('two\nlines'), fc.constant('long '.repeat(30))).map(both),
        fc.array(tie('value'), { maxLength: 4 }).map((items): [Yaml, Yaml] => [items.map(first), items.map(last)]),
        fc
          .dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie('value'), { maxKeys: 4 })
          .map((map): [Yaml, Yaml] => [mapped(map, first), mapped(map, last)]),
      ),
      fc.boolean(),
    )
    .map(([[plain, common], isCommon]): [Yaml, Yaml] => [plain, isCommon ? new Common(common) : common]),
}));

test('what is common is written as if it stood there alone, however often', () => {
  fc.assert(
    fc.property(value, ([plain, common]) => {
      const jobs = (one: Yaml): [string, Yaml][] => [
        ['a', { x: one, y: [one] }],
        ['b', { x: one }],
      ];
      const section = (one: Yaml): string => writeSection('jobs', jobs(one));
      expect(section(common)).toBe(section(plain));
    }),
  );
});

function both(value: Yaml): [Yaml, Yaml] {
  return [value, value];
}

function first([plain]: [Yaml, Yaml]): Yaml {
  return plain;
}

function last([, common]: [Yaml, Yaml]): Yaml {
  return common;
}

function mapped(map: Record<string, [Yaml, Yaml]>, which: (pair: [Yaml, Yaml]) => Yaml): Yaml {
  return Object.fromEntries(Object.entries(map).map(([key, pair]) => [key, which(pair)]));
}
