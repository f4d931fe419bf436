// What of a run is kept of its events.
import { expect, test } from 'vitest';
import { amd, arm, failed, succeeded } from './example.ts';
import { emptyState, reduce } from './state.ts';

test.each([
  ['is done', succeeded, arm],
  ['is reused', succeeded, amd],
  ['has failed', failed, arm],
])('of a task that %s, no output is kept', (_, events, id) => {
  const told = events.toSpliced(4, 0, { type: 'task-output', time: 1500, task: id, line: 'a line' });
  expect(told.slice(0, 5).reduce(reduce, emptyState).tasks.get(id)?.lastLine).toBe('a line');
  expect(JSON.stringify(told.reduce(reduce, emptyState).tasks.get(id))).not.toContain('a line');
});
