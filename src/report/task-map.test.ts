import { expect, test } from 'vitest';
import { PagedMap } from './task-map.ts';

const entries = Array.from({ length: 200 }, (_, number): [string, number] => [`task ${number}`, number]);

test('a change is seen in the new map and not in the old one, and keeps the order', () => {
  const before = PagedMap.of(entries);
  const after = before.with('task 130', -1);
  expect([before.get('task 130'), after.get('task 130'), after.size]).toEqual([130, -1, 200]);
  expect([...before]).toEqual([...new Map(entries)]);
  expect([...after]).toEqual([...new Map(entries).set('task 130', -1)]);
  expect([...after.values()]).toEqual([...new Map(entries).set('task 130', -1).values()]);
  expect([...after.keys()]).toEqual(entries.map(([key]) => key));
});

test('a key that is not there changes nothing', () => {
  const map = PagedMap.of(entries);
  expect(map.with('other', 1)).toBe(map);
  expect([map.get('other'), map.has('other'), map.has('task 0')]).toEqual([undefined, false, true]);
});

test('of entries with one key, the last counts, as in a Map', () => {
  expect([
    ...PagedMap.of([
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ]),
  ]).toEqual([
    ['a', 3],
    ['b', 2],
  ]);
});
