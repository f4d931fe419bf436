// What a run would do, without doing it: the plan's tasks on the fleet's own scheduler, on a clock that jumps.
import { ok, type Result } from '../failure.ts';
import { createVirtualScheduler } from '../fleet/virtual.ts';
import { type BuilderShape, type Estimate, estimate, type Past } from '../plan/estimate.ts';
import { createHandover } from '../plan/handover.ts';
import type { Plan } from '../plan/plan.ts';
import { type Schedule, simulate } from '../plan/simulate.ts';
import { createVirtualClock } from '../virtual-clock.ts';

export interface Forecast {
  estimate: Estimate;
  schedule: Schedule;
}

/** Fails where a task has no builder. */
export async function forecast(plan: Plan, builders: BuilderShape[], past: Past): Promise<Result<Forecast>> {
  const clock = createVirtualClock(0, () => 0.5);
  const scheduler = createVirtualScheduler(builders, clock);
  const estimated = estimate(plan, past, builders);
  const handover = createHandover(plan, estimated, builders);
  const schedule = await clock.run(simulate(plan, estimated, { clock, acquire: scheduler.acquire, handover }));
  await scheduler.close();
  return schedule.ok ? ok({ estimate: estimated, schedule: schedule.value }) : schedule;
}
