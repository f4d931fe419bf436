// pinReferences: only the pinned ranges change.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pinReferences } from './pin.ts';
import { readReferences } from './references.ts';

const text = '\uFEFFARG V=1\r\nFROM  --platform=linux/amd64 alpine:${V}  AS a\r\nCOPY --from="redis" / /\r\n# end';

test('every reference is replaced where it stands, and every other byte stays', () => {
  const read = readReferences(text, { file: 'f', platform: { os: 'linux', architecture: 'amd64' }, args: {} });
  const references = read.ok ? read.value.references : [];
  expect(
    pinReferences(
      text,
      references.map(({ range }, index) => ({ range, value: `r/i@sha256:${index}` })),
    ),
  ).toBe('\uFEFFARG V=1\r\nFROM  --platform=linux/amd64 r/i@sha256:0  AS a\r\nCOPY --from="r/i@sha256:1" / /\r\n# end');
});

test('the same range twice with the same value is one pin', () => {
  const pin = { range: { start: 1, end: 2 }, value: 'x' };
  expect(pinReferences('abc', [pin, { ...pin }])).toBe('axc');
});

test.each([
  [
    { start: 0, end: 2 },
    { start: 1, end: 3 },
  ],
  [
    { start: 0, end: 3 },
    { start: 1, end: 2 },
  ],
  [
    { start: 0, end: 2 },
    { start: 0, end: 2 },
  ],
  [
    { start: 2, end: 4 },
    { start: 0, end: 1 },
  ],
])('%j and %j throw: overlapping, of two values, or outside the text', (a, b) => {
  const pins = [
    { range: a, value: 'x' },
    { range: b, value: 'y' },
  ];
  expect(() => pinReferences('abc', pins)).toThrow(/overlaps/);
});

test('pins in any order give what splicing from the end gives', () => {
  const ranges = fc.uniqueArray(fc.nat(60), { minLength: 2, maxLength: 10 }).map((all) => {
    const sorted = [...all].sort((a, b) => a - b);
    return sorted.flatMap((start, index) => {
      const end = sorted[index + 1];
      return index % 2 === 0 && end !== undefined ? [{ start, end }] : [];
    });
  });
  fc.assert(
    fc.property(ranges, fc.string(), (all, value) => {
      const source = 'x'.repeat(61);
      const spliced = all
        .toReversed()
        .reduce((so, { start, end }) => so.slice(0, start) + value + so.slice(end), source);
      const pins = all.map((range) => ({ range, value }));
      expect(pinReferences(source, pins.toReversed())).toBe(spliced);
    }),
  );
});
