import { expect, test } from 'vitest';
import { learn, type Sample } from './learn.ts';

const sample = (task: string, builder: string, durationMs: number, emulated = false): Sample => ({
  ...{ task, builder, durationMs, emulated },
});

test('a builder that took half as long for the same tasks is twice as fast', () => {
  const { speeds } = learn([
    ...[sample('a', 'quick', 100), sample('a', 'slow', 200)],
    ...[sample('b', 'quick', 3000), sample('b', 'slow', 6000)],
  ]);
  expect((speeds.get('quick') ?? 0) / (speeds.get('slow') ?? 0)).toBeCloseTo(2);
});

test('speeds reach over builders that never did the same task, and tasks seen on one alone are set right by them', () => {
  // one : two = 1 : 2 by a, two : three = 1 : 2 by b; the geometric mean of 1/2, 1 and 2 is 1.
  const { speeds, durations } = learn([
    ...[sample('a', 'one', 400), sample('a', 'two', 200)],
    ...[sample('b', 'two', 600), sample('b', 'three', 300), sample('c', 'three', 500)],
  ]);
  expect([...speeds].map(([name, speed]) => [name, Number(speed.toFixed(2))])).toEqual([
    ...[
      ['one', 0.5],
      ['two', 1],
      ['three', 2],
    ],
  ]);
  expect(durations.get('a')).toBeCloseTo(200);
  expect(durations.get('c')).toBeCloseTo(1000);
});

test('one odd run among others changes nothing, and old runs are forgotten', () => {
  const old = Array.from({ length: 9 }, () => sample('a', 'one', 9999));
  const { durations, speeds } = learn([...old, ...[100, 100, 9000, 100, 100].map((ms) => sample('a', 'one', ms))]);
  expect(durations.get('a')).toBeCloseTo(100);
  expect(speeds.size).toBe(0);
});

test('a build under QEMU counts as one that took a tenth natively', () => {
  expect(learn([sample('a', 'one', 50_000, true)]).durations.get('a')).toBeCloseTo(5000);
});

test('nothing is learnt of nothing', () => {
  expect(learn([])).toEqual({ durations: new Map(), speeds: new Map() });
});
