// Names of tags, as runs, cosign and the distribution-spec write them.
import { expect, test } from 'vitest';
import { isExact, matchesTag, readTagName, startOfRun } from './tag-names.ts';

const hex = 'ab'.repeat(32);

test.each([
  ['20261125-061500-1f3a9c', { kind: 'staged', run: '20261125-061500-1f3a9c' }],
  ['20261125-061500-1f3a9c-armv7', { kind: 'staged', run: '20261125-061500-1f3a9c' }],
  ['20261125-061500-1f3a9c-base-0123456789ab', { kind: 'staged', run: '20261125-061500-1f3a9c' }],
  ['20261345-061500-1f3a9c', { kind: 'plain' }],
  ['20261125', { kind: 'plain' }],
  ['splitbuild-key-0a', { kind: 'key' }],
  ['splitbuild-develop', { kind: 'record', of: 'develop' }],
  [`sha256-${hex}`, { kind: 'attached', subject: `sha256:${hex}` }],
  [`sha256-${hex}.sig`, { kind: 'attached', subject: `sha256:${hex}` }],
  [`sha512-${hex}`, { kind: 'attached', subject: undefined }],
  ['sha256-abc.sig', { kind: 'plain' }],
])('%s is read as %o', (tag, name) => {
  expect(readTagName(tag)).toEqual(name);
});

test('a run’s id tells when it began, and the 31st of June is no day', () => {
  expect(startOfRun('20261125-061500-1f3a9c')).toBe(Date.UTC(2026, 10, 25, 6, 15));
  expect(startOfRun('20260631-061500-1f3a9c')).toBeUndefined();
});

test('in a glob, * and ? stand for characters and all else for itself', () => {
  expect(matchesTag('v1.2', 'v1.*')).toBe(true);
  expect(matchesTag('v1x2', 'v1.2')).toBe(false);
  expect(matchesTag('pr-12', 'pr-?')).toBe(false);
  expect(isExact('v1.2')).toBe(true);
});
