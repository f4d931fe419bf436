import { expect, test } from 'vitest';
import { criticalPath, remainingPaths } from './critical-path.ts';
import type { Plan, Task } from './plan.ts';

function task(id: string, needs: string[]): Task {
  return {
    kind: 'publish',
    id,
    image: id,
    repository: id,
    builds: [],
    tags: [],
    audit: { mode: 'stop', allow: [] },
    needs,
  };
}

const plan: Plan = {
  version: 1,
  family: 'f',
  publish: 'image',
  failedPlatform: 'hold',
  gates: [],
  tasks: [task('base', []), task('slow', ['base']), task('quick', ['base']), task('app', ['quick', 'slow'])],
};

test('the critical path goes through the slower of two branches', () => {
  const took: Record<string, number> = { base: 10, slow: 7, quick: 3, app: 1 };
  expect(criticalPath(plan, (id) => took[id] ?? 0)).toEqual({ path: ['base', 'slow', 'app'], durationMs: 18 });
});

test('an empty plan has an empty critical path', () => {
  expect(criticalPath({ ...plan, tasks: [] }, () => 1)).toEqual({ path: [], durationMs: 0 });
});

test('how far a task is from the end goes through the slowest of those that need it', () => {
  const took: Record<string, number> = { base: 10, slow: 7, quick: 3, app: 1 };
  const expected = { base: 18, slow: 8, quick: 4, app: 1 };
  expect(Object.fromEntries(remainingPaths(plan, (id) => took[id] ?? 0))).toEqual(expected);
});
