// What must be true of any schedule of any plan on any builders.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BuilderShape } from '../plan/estimate.ts';
import type { Plan } from '../plan/plan.ts';
import type { Schedule } from '../plan/simulate.ts';
import { amd64, anyBuilders, anyPlan, arm64, buildTask, planOf, publishTask } from '../plan/testing.ts';
import { forecast } from './forecast.ts';

const both = [amd64, arm64];
/** Sums of fractions differ in their last digits by the order of adding. */
const nothing = 1e-3;

async function scheduleOf(plan: Plan, builders: BuilderShape[], durations: Record<string, number>): Promise<Schedule> {
  const made = await forecast(plan, builders, { durations, samples: [] });
  if (!made.ok) throw new Error(JSON.stringify(made.failure));
  return made.value.schedule;
}

const drawn = fc.tuple(anyPlan({ platforms: both, publishes: true, most: 25 }), anyBuilders(both));

test('every task is done once, after all that it needs, on a builder of its platform, and in its own time', async () => {
  await fc.assert(
    fc.asyncProperty(drawn, async ([{ plan, durations }, builders]) => {
      const { steps } = await scheduleOf(plan, builders, durations);
      expect(steps.map(({ task }) => task).sort()).toEqual(plan.tasks.map(({ id }) => id).sort());
      const byTask = new Map(steps.map((step) => [step.task, step]));
      for (const task of plan.tasks) {
        const step = byTask.get(task.id);
        const ready = Math.max(0, ...task.needs.map((need) => byTask.get(need)?.end ?? Number.NaN));
        expect(step?.start).toBeGreaterThanOrEqual(ready - nothing);
        const builder = builders.find(({ name }) => name === step?.builder);
        if (task.kind !== 'publish') expect(builder?.native).toContainEqual(task.platform);
        const took = (step?.end ?? 0) - (step?.start ?? 0);
        expect(took).toBeCloseTo((durations[task.id] ?? 0) / (builder?.speed ?? 1), 3);
      }
    }),
  );
});

test('no builder ever has more tasks than slots, and no slot two tasks at a time', async () => {
  await fc.assert(
    fc.asyncProperty(drawn, async ([{ plan, durations }, builders]) => {
      const { steps } = await scheduleOf(plan, builders, durations);
      for (const { name, slots } of builders) {
        const own = steps.filter(({ builder }) => builder === name);
        expect(Math.max(0, ...own.map(({ slot = Number.NaN }) => slot))).toBeLessThan(slots);
        for (const a of own) {
          const others = own.filter((b) => b !== a && b.slot === a.slot);
          expect(others.filter((b) => b.start < a.end - nothing && a.start < b.end - nothing)).toEqual([]);
        }
      }
    }),
  );
});

test('it takes no longer than one task after the other, and no less than the longest chain and the work allow', async () => {
  await fc.assert(
    fc.asyncProperty(drawn, async ([{ plan, durations }, builders]) => {
      const { steps, wallMs, critical } = await scheduleOf(plan, builders, durations);
      const sum = steps.reduce((total, { start, end }) => total + end - start, 0);
      expect(wallMs).toBeLessThanOrEqual(sum + nothing);
      expect(wallMs).toBeGreaterThanOrEqual(critical.durationMs - nothing);
      const built = steps.filter(({ builder }) => builder !== undefined);
      const work = built.reduce((total, { start, end }) => total + end - start, 0);
      const slots = builders.reduce((total, one) => total + one.slots, 0);
      expect(wallMs).toBeGreaterThanOrEqual(work / slots - nothing);
    }),
  );
});

test('on equal slots it keeps the bound of list scheduling: work/m + (1 - 1/m) of the longest chain', async () => {
  // R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969: hence never more than 2 - 1/m times the best.
  const equal = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
  const plans = anyPlan({ platforms: [amd64], publishes: false, most: 30 });
  await fc.assert(
    fc.asyncProperty(plans, equal, async ({ plan, durations }, slots) => {
      const builders = slots.map((many, n) => ({ name: `b${n}`, native: [amd64], emulated: [], slots: many }));
      const { wallMs, critical } = await scheduleOf(plan, builders, durations);
      const m = slots.reduce((sum, many) => sum + many, 0);
      const work = Object.values(durations).reduce((sum, ms) => sum + ms, 0);
      expect(wallMs).toBeLessThanOrEqual(work / m + (1 - 1 / m) * critical.durationMs + nothing);
    }),
  );
});

test('no slot stands idle while a task waits that it could take', async () => {
  await fc.assert(
    fc.asyncProperty(drawn, async ([{ plan, durations }, builders]) => {
      const { steps } = await scheduleOf(plan, builders, durations);
      const tasks = new Map(plan.tasks.map((task) => [task.id, task]));
      const moments = steps.map(({ end }) => end);
      for (const step of steps) {
        const task = tasks.get(step.task);
        if (!task || task.kind === 'publish' || step.waitedMs <= nothing) continue;
        const able = builders.filter(({ native }) => native.includes(task.platform));
        for (const at of [step.start - step.waitedMs, ...moments]) {
          if (at < step.start - step.waitedMs || at >= step.start - 1) continue;
          const soon = at + 0.5;
          for (const { name, slots } of able) {
            const busy = steps.filter((one) => one.builder === name && one.start <= soon && one.end > soon).length;
            const ending = steps.filter((one) => one.builder === name && one.end > at && one.end <= soon).length;
            expect(busy + ending).toBeGreaterThanOrEqual(slots);
          }
        }
      }
    }),
  );
});

test('the long chain goes first, and the short tasks fill what it leaves', async () => {
  // First come, first served would begin with two leaves, and end with the chain alone: 40 s instead of 30.
  const leaves = ['l0', 'l1', 'l2'].map((name) => buildTask(name, amd64));
  const chain = [buildTask('c0', amd64), buildTask('c1', amd64, ['c0']), buildTask('c2', amd64, ['c1'])];
  const plan = planOf([...leaves, ...chain]);
  const durations = Object.fromEntries(plan.tasks.map(({ id }) => [id, 10_000]));
  const schedule = await scheduleOf(plan, [{ name: 'b', native: [amd64], emulated: [], slots: 2 }], durations);
  expect(schedule.wallMs).toBe(30_000);
  expect(schedule.steps.map(({ task, start }) => `${start / 1000} ${task.split(' ')[1]}`)).toEqual([
    ...['0 c0', '0 l0', '10 c1', '10 l1', '20 l2', '20 c2'],
  ]);
});

test('a child is built where its parent was, and elsewhere rather than wait', async () => {
  const plan = planOf([
    ...[buildTask('a', amd64), buildTask('b', amd64)],
    ...[buildTask('on-b', amd64, ['b']), buildTask('on-a', amd64, ['a']), buildTask('on-a-too', amd64, ['a'])],
  ]);
  const durations = Object.fromEntries(
    plan.tasks.map(({ id }, n) => [id, [60_000, 60_000, 50_000, 40_000, 30_000][n] ?? 0]),
  );
  const builders = ['one', 'two'].map((name) => ({ name, native: [amd64], emulated: [], slots: 1 }));
  const { steps } = await scheduleOf(plan, builders, durations);
  const where = Object.fromEntries(steps.map(({ task, builder }) => [task.split(' ')[1], builder]));
  expect(where['on-a']).toBe(where.a);
  expect(where['on-b']).toBe(where.b);
  expect(where['on-a-too']).toBe(where.a);
  expect(where.a).not.toBe(where.b);
});

test('of two free builders the task goes to the quicker one, the more urgent task first', async () => {
  const plan = planOf([buildTask('short', amd64), buildTask('long', amd64)]);
  const durations = { 'build short linux/amd64': 60_000, 'build long linux/amd64': 600_000 };
  const slow = { name: 'slow', native: [amd64], emulated: [], slots: 1, speed: 0.5 };
  const { steps } = await scheduleOf(plan, [slow, { ...slow, name: 'quick', speed: 2 }], durations);
  expect(steps.map(({ task, builder, end }) => [task, builder, end])).toEqual([
    ['build long linux/amd64', 'quick', 300_000],
    ['build short linux/amd64', 'slow', 120_000],
  ]);
});

test('a plan with a platform that no builder has is refused, with what there is', async () => {
  const builders = [{ name: 'intel', native: [amd64], emulated: [arm64], slots: 1 }];
  const made = await forecast(planOf([buildTask('a', arm64)]), builders, { durations: {}, samples: [] });
  expect(made).toMatchObject({
    ok: false,
    failure: { kind: 'placement', message: 'no builder is native for linux/arm64' },
  });
});

test('what is there already takes no time and no slot, and tells of how long the rest may take', async () => {
  const [base, app, other] = [buildTask('base', amd64), buildTask('app', amd64, ['base']), buildTask('app', arm64)];
  const plan = planOf([base, app, other, publishTask('app', [app, other])]);
  const builders = [{ name: 'b', native: [amd64], emulated: [], slots: 1 }];
  const durations = { [base.id]: 60_000, [other.id]: 30_000, 'publish app': 2000 };
  const made = await forecast(plan, builders, { durations, samples: [] }, new Set([base.id, other.id]));
  expect(made).toMatchObject({
    ok: true,
    value: {
      there: 2,
      plan: { tasks: [app, { id: 'publish app' }] },
      schedule: {
        steps: [
          { task: app.id, start: 0, end: 30_000, waitedMs: 0 },
          { task: 'publish app', start: 30_000, end: 32_000 },
        ],
        wallMs: 32_000,
        critical: { path: [app.id, 'publish app'], durationMs: 32_000 },
      },
    },
  });
});

test('a run of what is there already needs no builder, and publishes', async () => {
  const drawnThere = anyPlan({ platforms: both, publishes: true, most: 25 });
  await fc.assert(
    fc.asyncProperty(drawnThere, async ({ plan, durations }) => {
      const done = plan.tasks.filter(({ kind }) => kind !== 'publish').map(({ id }) => id);
      const made = await forecast(plan, [], { durations, samples: [] }, new Set(done));
      const published = plan.tasks.flatMap(({ kind, id }) => (kind === 'publish' ? [id] : []));
      if (!made.ok) throw new Error(JSON.stringify(made.failure));
      const { steps, wallMs } = made.value.schedule;
      expect(steps.map(({ task }) => task).sort()).toEqual(published.sort());
      expect(wallMs).toBeCloseTo(Math.max(0, ...published.map((id) => durations[id] ?? 0)), 3);
    }),
  );
});
