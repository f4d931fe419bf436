// Patterns against regular expressions, which mean the same where they are short, and against time where they are not.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cpuMs } from '../testing.ts';
import { replace, trim } from './shell-pattern.ts';

function regex(pattern: string, greedy: boolean, before = '', after = ''): RegExp {
  const star = greedy ? '.*' : '.*?';
  const source = [...pattern].map((char) => (char === '*' ? star : char === '?' ? '.' : char)).join('');
  return new RegExp(before + source + after, 'su');
}

const patterns = fc.array(fc.constantFrom('*', '?', 'a', 'b', '😀'), { maxLength: 6 }).map((all) => all.join(''));
const values = fc.array(fc.constantFrom('a', 'b', '😀', '\n'), { maxLength: 8 }).map((all) => all.join(''));

test('what is trimmed is the shortest or the longest prefix or suffix that the same regular expression finds', () => {
  fc.assert(
    fc.property(patterns, values, fc.boolean(), fc.boolean(), (pattern, value, greedy, fromEnd) => {
      const points = [...value];
      const cuts = Array.from({ length: points.length + 1 }, (_, length) => length);
      const whole = regex(pattern, true, '^', '$');
      const matching = cuts.filter((length) =>
        whole.test((fromEnd ? points.slice(points.length - length) : points.slice(0, length)).join('')),
      );
      const length = greedy ? matching.at(-1) : matching[0];
      const kept = fromEnd ? points.slice(0, points.length - (length ?? 0)) : points.slice(length ?? 0);
      const sign = fromEnd ? '%' : '#';
      expect(trim(value, (greedy ? sign : '') + pattern, fromEnd)).toBe(kept.join(''));
    }),
    { numRuns: 2000 },
  );
});

test('the first match that is replaced is the one that the same regular expression finds', () => {
  fc.assert(
    fc.property(patterns, values, (pattern, value) => {
      expect(replace(value, pattern, '-', false)).toBe(value.replace(regex(pattern, true), '-'));
    }),
    { numRuns: 2000 },
  );
});

test.each([
  // regexp.ReplaceAllString of Go: nothing is matched right behind a match.
  ['aXbX', 'X', '-', 'a-b-'],
  ['ab', '', '-', '-a-b-'],
  ['ab', '*', '-', '-'],
  ['baac', 'a*', '-', 'b-'],
  ['$&x', 'x', '$&', '$&$&'],
])('all of %j that is %j becomes %j', (value, pattern, replacement, result) => {
  expect(replace(value, pattern, replacement, true)).toBe(result);
});

test('a pattern that would keep a regular expression busy for years', () => {
  const [value, pattern] = ['a'.repeat(5000), `${'*a'.repeat(100)}*b`];
  const started = cpuMs();
  for (const operand of [pattern, `#${pattern}`, `%${pattern}`]) {
    trim(value, operand, false);
    trim(value, operand, true);
  }
  expect(replace(value, pattern, '', true)).toBe(value);
  expect(replace(value, '?', 'x', true)).toBe('x'.repeat(5000));
  expect(cpuMs() - started).toBeLessThan(1000);
});
