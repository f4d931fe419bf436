// The live area, compared with screens written by hand.
import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import { begun, failed } from './example.ts';
import { drawScreen } from './screen.ts';
import { emptyState, reduce } from './state.ts';

const state = begun.reduce(reduce, emptyState);

test('each task has a row, a bar against its last duration or a spinner, and its last line', () => {
  expect(drawScreen(state, { color: false, now: 5000, columns: 80, rows: 20 })).toEqual([
    'demo  0/3 tasks  5.0 s  on here, graviton',
    '▶ base linux/amd64 █████░░░░░      5.0 s on here',
    '⠋ base linux/arm64                 5.0 s emulated on graviton',
    '    #5 RUN make',
    '· publish base',
  ]);
});

test('rows of ended tasks fold when there is no room, then those that wait', () => {
  const ended = failed.slice(0, -1).reduce(reduce, emptyState);
  expect(drawScreen(ended, { color: false, now: 6000, columns: 80, rows: 3 })).toEqual([
    'demo  1/3 tasks  6.0 s  on here, graviton',
    '  1 done, 1 skipped',
    '✖ base linux/arm64                 5.0 s emulated',
  ]);
});

test('no line is wider than a narrow terminal, also with wide characters', () => {
  const wide = reduce(state, { type: 'task-output', time: 2, task: 'build base linux/arm64', line: '建'.repeat(60) });
  for (const line of drawScreen(wide, { color: true, now: 5000, columns: 40, rows: 20 })) {
    expect(stringWidth(line)).toBeLessThanOrEqual(40);
  }
});

test('a narrow terminal keeps the name, the bar, the time and the emulation', () => {
  expect(drawScreen(state, { color: false, now: 5000, columns: 40, rows: 20 })).toEqual([
    'demo  0/3 tasks  5.0 s  on here, graviton'.slice(0, 39).concat('…'),
    '▶ base linux/am… ██░░   5.0 s on here',
    '⠋ base linux/ar…        5.0 s emulated …',
    '    #5 RUN make',
    '· publish base',
  ]);
});
