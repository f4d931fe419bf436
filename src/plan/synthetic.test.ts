import { expect, test } from 'vitest';
import { criticalPath } from './critical-path.ts';
import { syntheticPlan } from './synthetic.ts';
import { amd64, arm64 } from './testing.ts';

const family = {
  images: 12,
  platforms: [amd64],
  depth: 3,
  fanOut: 2,
  chain: 'arch',
  mode: 'native',
  buildMs: 1000,
} as const;

test('it has trees of the depth and width that are asked for, the last one as far as the images go', () => {
  const { plan } = syntheticPlan({ ...family, platforms: [amd64] });
  const builds = plan.tasks.filter(({ kind }) => kind === 'build');
  expect(
    builds.map(({ image, needs }) => `${image.slice(6)}←${needs.map((need) => need.split(' ')[1]?.slice(6))}`),
  ).toEqual([...['0←', '1←0', '2←0', '3←1', '4←1', '5←2', '6←2'], ...['7←', '8←7', '9←7', '10←8', '11←8']]);
  expect(criticalPath(plan, () => 1).durationMs).toBe(3 + 1);
});

test('with chain: manifest a build waits for the joined image', () => {
  const { plan } = syntheticPlan({ ...family, platforms: [amd64, arm64], chain: 'manifest' });
  const task = plan.tasks.find(({ id }) => id === 'build image-1 linux/arm64');
  expect(task?.needs).toEqual(['publish image-0']);
});

test('its times are the same at each call, between half and one and a half of the mean, and their mean is near it', () => {
  const asked = { ...family, platforms: [amd64], images: 1000 };
  const { plan, durations } = syntheticPlan(asked);
  expect(syntheticPlan(asked).durations).toEqual(durations);
  const times = plan.tasks.flatMap(({ kind, id }) => (kind === 'build' ? [durations[id] ?? 0] : []));
  expect(Math.min(...times)).toBeGreaterThanOrEqual(500);
  expect(Math.max(...times)).toBeLessThanOrEqual(1500);
  expect(times.reduce((sum, ms) => sum + ms, 0) / 1000).toBeCloseTo(1000, -1);
});
