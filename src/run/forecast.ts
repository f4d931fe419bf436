// What a run would do, without doing it: the plan's tasks on the fleet's own scheduler, on a clock that jumps.
import { ok, type Result } from '../failure.ts';
import { createVirtualScheduler } from '../fleet/virtual.ts';
import { type BuilderShape, type Estimate, estimate, type Past } from '../plan/estimate.ts';
import { createHandover } from '../plan/handover.ts';
import type { Plan } from '../plan/plan.ts';
import { type Schedule, simulate } from '../plan/simulate.ts';
import { createVirtualClock } from '../virtual-clock.ts';

export interface Forecast {
  /** What is left to do of the plan: the schedule's tasks. */
  plan: Plan;
  /** How many of its tasks are there already. */
  there: number;
  estimate: Estimate;
  schedule: Schedule;
}

/** Fails where a task has no builder. `there`: ids of tasks whose results are there already, which a run does not do again. */
export async function forecast(
  whole: Plan,
  builders: BuilderShape[],
  past: Past,
  there: ReadonlySet<string> = new Set(),
): Promise<Result<Forecast>> {
  const tasks = whole.tasks.filter(({ id }) => !there.has(id));
  const plan = { ...whole, tasks };
  const clock = createVirtualClock(0, () => 0.5, process.nextTick);
  const scheduler = createVirtualScheduler(builders, clock);
  // Of the whole: what is there already tells of how long what is like it may take.
  const estimated = estimate(whole, past, builders);
  const handover = createHandover(plan, estimated, builders);
  const schedule = await clock.run(simulate(plan, estimated, { clock, acquire: scheduler.acquire, handover }));
  await scheduler.close();
  if (!schedule.ok) return schedule;
  return ok({ plan, there: whole.tasks.length - tasks.length, estimate: estimated, schedule: schedule.value });
}
