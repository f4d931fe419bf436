// What is held of tasks' output: enough to explain a failure, and no more.
import { expect, test } from 'vitest';
import { holdLines } from './held.ts';

test('the lines of an attempt are given once, when it has ended, without what says nothing', () => {
  const held = holdLines(10);
  held.start('a');
  for (const line of ['#5 RUN make', '#5 DONE 0.2s', '\u001b[31mno rule\u001b[0m', '']) held.add('a', line);
  expect(held.take('a')).toEqual(['#5 RUN make', 'no rule']);
  expect(held.take('a')).toEqual([]);
  held.start('a');
  held.add('a', 'first');
  held.start('a');
  held.add('a', 'second');
  expect(held.take('a')).toEqual(['second']);
});

test('nothing is held of a task that has not begun, or has ended', () => {
  const held = holdLines(10);
  held.add('a', 'before');
  held.start('a');
  held.take('a');
  held.add('a', 'after');
  expect(held.take('a')).toEqual([]);
});

test.each([4, 5, 6, 7, 100])('of %i lines the last ones are there, and at most four', (count) => {
  const held = holdLines(4);
  held.start('a');
  for (let line = 1; line <= count; line += 1) held.add('a', `${line}`);
  const lines = held.take('a');
  expect(lines.length).toBeLessThanOrEqual(4);
  expect(lines.slice(-2)).toEqual([`${count - 1}`, `${count}`]);
});

test('where lines went, the first says so', () => {
  const held = holdLines(4, (lines) => `${lines} left out`);
  held.start('a');
  for (const line of ['1', '2', '3', '4', '5']) held.add('a', line);
  expect(held.take('a')).toEqual(['2 left out', '3', '4', '5']);
});
