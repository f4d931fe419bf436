// What counts as meant.
import { expect, test } from 'vitest';
import { nearest, suggest } from './nearest.ts';

const keys = ['platforms', 'repository', 'args', 'tags', 'archTagSuffix', 'org'];

test.each([
  ['platform', 'platforms'],
  ['repo', 'repository'],
  ['Repository', 'repository'],
  ['arch-tag-suffix', 'archTagSuffix'],
  ['tag', 'tags'],
  ['ogr', 'org'],
  ['arg', 'args'],
  ['build', undefined],
  ['x', undefined],
  ['', undefined],
])('%j means %j', (written, meant) => {
  expect(nearest(written, keys)).toBe(meant);
});

test('a name of one letter is not near another', () => {
  expect(nearest('z', ['q'])).toBeUndefined();
});

test('help names the near one, else what there is', () => {
  expect(suggest('platfrom', keys)).toBe("did you mean 'platforms'?");
  expect(suggest('x', ['a', 'b', 'a'])).toBe('known here: a, b');
  expect(suggest('x', [], 'no images')).toBe('no images');
});
