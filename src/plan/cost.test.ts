import { expect, test } from 'vitest';
import { costOf } from './cost.ts';
import { oneEmulatedJob } from './emulated.ts';
import { amd64, arm64, buildTask, planOf, publishTask } from './testing.ts';

const builds = [buildTask('base', amd64), buildTask('base', arm64)];
const plan = planOf([...builds, publishTask('base', builds)]);
// Six minutes a build, one for publishing.
const estimate = { base: (id: string) => (id.startsWith('publish') ? 60_000 : 360_000) };

test('work is paid by the class of its machine, natively and as one emulated job an image', () => {
  const ci = { circleci: { resourceClass: { default: 'medium', 'linux/arm64': 'arm.medium', emulated: 'large' } } };
  expect(costOf(plan, estimate, { ci, costs: { medium: 10, 'arm.medium': 13, large: 20 } })).toEqual([
    {
      ...{ provider: 'circleci', placement: 'native', total: 70 + 78 },
      classes: [
        { machine: 'medium', minutes: 7, perMinute: 10, cost: 70 },
        { machine: 'arm.medium', minutes: 6, perMinute: 13, cost: 78 },
      ],
    },
    {
      ...{ provider: 'circleci', placement: 'emulated', total: 66 * 20 + 10 },
      classes: [
        { machine: 'large', minutes: 66, perMinute: 20, cost: 1320 },
        { machine: 'medium', minutes: 1, perMinute: 10, cost: 10 },
      ],
    },
  ]);
});

test('a class without a cost has its minutes, and there is no sum that leaves it out', () => {
  const ci = { github: { runners: { 'linux/arm64': ['self', 'arm'] } } };
  const [native] = costOf(plan, estimate, { ci, costs: { default: 0.008 } });
  expect(native?.classes).toEqual([
    { machine: 'default', minutes: 7, perMinute: 0.008, cost: 0.056 },
    { machine: 'self, arm', minutes: 6 },
  ]);
  expect(native).not.toHaveProperty('total');
});

test('one emulated job does all in turn, ten times slower where it is not amd64', () => {
  expect(oneEmulatedJob(plan, estimate)).toEqual({
    ...{ wallMs: (6 + 60 + 1) * 60_000, emulatedMs: 60 * 60_000, factor: 10, machine: amd64 },
  });
});
