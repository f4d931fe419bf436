import { expect, test } from 'vitest';
import { estimate, noPast } from './estimate.ts';
import { amd64, arm64, buildTask, planOf, publishTask } from './testing.ts';

const base = [buildTask('base', amd64), buildTask('base', arm64)];
const app = [buildTask('app', amd64, ['base']), buildTask('app', arm64, ['base'])];
const plan = planOf([...base, publishTask('base', base), ...app, publishTask('app', app)]);
const intel = { name: 'intel', native: [amd64], emulated: [arm64], slots: 1 };
const arm = { name: 'arm', native: [arm64], emulated: [], slots: 1, speed: 2 };

test('what no run has done takes as long as the image for another platform, as the median of others, or as usual', () => {
  const past = { ...noPast, durations: { 'build base linux/amd64': 7000, 'publish base': 300 } };
  const { base: ms, basis } = estimate(plan, past, [intel, arm]);
  expect(plan.tasks.map(({ id }) => `${id}: ${ms(id)} ${basis(id)}`)).toEqual([
    'build base linux/amd64: 7000 journal',
    'build base linux/arm64: 7000 other-platform',
    'publish base: 300 journal',
    'build app linux/amd64: 7000 other-tasks',
    'build app linux/arm64: 7000 other-tasks',
    'publish app: 300 other-tasks',
  ]);
  expect(estimate(plan, noPast, []).base('build app linux/amd64')).toBe(60_000);
  expect(estimate(plan, noPast, []).basis('build app linux/amd64')).toBe('default');
});

test('a quick builder takes less, emulation ten times as long, and the way to the end is by the best builder there is', () => {
  const past = { ...noPast, durations: Object.fromEntries(plan.tasks.map(({ id }) => [id, 1000])) };
  const { expected, remaining } = estimate(plan, past, [intel, arm]);
  expect(expected('build app linux/arm64', 'arm')).toBe(500);
  expect(expected('build app linux/arm64', 'intel', true)).toBe(10_000);
  expect(remaining('build base linux/arm64')).toBe(500 + 500 + 1000);
  expect(remaining('build base linux/amd64')).toBe(1000 + 1000 + 1000);
  const emulated = planOf(
    plan.tasks.map((task) => (task.kind === 'publish' ? task : { ...task, mode: 'emulated' as const })),
  );
  expect(estimate(emulated, past, [intel]).remaining('build base linux/arm64')).toBe(10_000 + 10_000 + 1000);
});
