import stringWidth from 'string-width';
import { expect, test } from 'vitest';
import type { Schedule, Step } from '../plan/simulate.ts';
import { amd64, arm64, buildTask, planOf, publishTask } from '../plan/testing.ts';
import { drawTimeline } from './timeline.ts';

const base = [buildTask('base', amd64), buildTask('base', arm64)];
const plan = planOf([...base, buildTask('app', amd64, ['base']), publishTask('base', base)]);
const tasks = new Map(plan.tasks.map((task) => [task.id, task]));
const step = (task: string, builder: string, slot: number, start: number, end: number): Step => ({
  ...{ task, builder, slot, start, end, slotEnd: end, emulated: false, waitedMs: 0 },
});
const schedule: Schedule = {
  steps: [
    step('build base linux/amd64', 'intel', 0, 0, 60_000),
    step('build base linux/arm64', 'intel', 1, 0, 30_000),
    step('build app linux/amd64', 'intel', 0, 60_000, 120_000),
    { task: 'publish base', emulated: false, start: 60_000, end: 62_000, slotEnd: 62_000, waitedMs: 0 },
  ],
  wallMs: 120_000,
  critical: { path: ['build base linux/amd64', 'build app linux/amd64'], durationMs: 120_000 },
};
const draw = (columns: number, rows = 10): string[] => drawTimeline(schedule, tasks, { color: false, columns, rows });

test('each slot has a row, the critical path another filling, and the scale its beginning, middle and end', () => {
  expect(draw(48)).toEqual([
    'intel |[base amd64########][app amd64#########]|',
    '  2   |[base arm]..............................|',
    '      0               1 min 00 s      2 min 00 s',
  ]);
});

test('it is never wider than the terminal, down to the little that can be read at all', () => {
  for (let columns = 17; columns < 130; columns += 1)
    for (const line of draw(columns)) expect(stringWidth(line)).toBeLessThanOrEqual(columns);
});

test('what is too much for the screen is counted', () => {
  expect(draw(48, 1)[1]).toMatch(/^ +1 more slot$/);
});

test('colour is there only if it is asked for', () => {
  const coloured = drawTimeline(schedule, tasks, { color: true, columns: 48, rows: 9 }).join('');
  expect(coloured).toContain('\u001b[');
  expect(draw(48).join('')).not.toContain('\u001b[');
});

test('where nothing is built there is nothing to draw', () => {
  expect(drawTimeline({ ...schedule, steps: [] }, tasks, { color: false, columns: 48, rows: 9 })).toEqual([]);
});
