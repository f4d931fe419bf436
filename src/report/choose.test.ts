// Colour and duration rules as tables.
import { expect, test } from 'vitest';
import { wantsColor } from './choose.ts';
import { formatDuration } from './duration.ts';

test('colour follows FORCE_COLOR, then NO_COLOR, then the terminal', () => {
  expect(wantsColor({}, true)).toBe(true);
  expect(wantsColor({}, false)).toBe(false);
  expect(wantsColor({ NO_COLOR: '1' }, true)).toBe(false);
  expect(wantsColor({ NO_COLOR: '' }, true)).toBe(true);
  expect(wantsColor({ FORCE_COLOR: '1' }, false)).toBe(true);
  expect(wantsColor({ FORCE_COLOR: '0' }, true)).toBe(false);
  expect(wantsColor({ TERM: 'dumb' }, true)).toBe(false);
});

test('durations are rounded without ever showing sixty', () => {
  expect(formatDuration(41_210)).toBe('41.2 s');
  expect(formatDuration(59_960)).toBe('1 min 00 s');
  expect(formatDuration(185_000)).toBe('3 min 05 s');
  expect(formatDuration(3_599_800)).toBe('1 h 00 min');
});
