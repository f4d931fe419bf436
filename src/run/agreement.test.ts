// The executor and the simulation of it agree: what `splitbuild plan` shows is what `splitbuild build` does, when tasks take as long as
// they did the last time. The executor here is the real one, on simulated engines, a registry in memory and a clock that jumps.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSimulatedEngine } from '../engine/simulated.ts';
import { ok } from '../failure.ts';
import { assembleFleet } from '../fleet/fleet.ts';
import { usualHealth } from '../fleet/health.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuilderShape } from '../plan/estimate.ts';
import type { Plan } from '../plan/plan.ts';
import { amd64, anyBuilders, anyPlan, arm64 } from '../plan/testing.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createSimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock } from '../virtual-clock.ts';
import type { RunContext } from './context.ts';
import type { Event } from './event.ts';
import { execute } from './execute.ts';
import { forecast } from './forecast.ts';
import { replayHistory } from './journal.ts';

const both = [amd64, arm64];

/** Carries out a plan whose builds take as long as given, with what the journals before taught; what happened. */
async function carryOut(
  plan: Plan,
  builders: BuilderShape[],
  durations: Record<string, number>,
  journals: string[],
): Promise<Event[]> {
  const clock = createVirtualClock(0, () => 0.5);
  const registry = createSimulatedRegistry();
  const { signal } = new AbortController();
  const events: Event[] = [];
  const sources = builders.map((shape) => ({
    name: shape.name,
    endpoint: `sim://${shape.name}`,
    async open(opening: AbortSignal) {
      const engine = createSimulatedEngine({
        ...{ name: shape.name, machine: amd64, cpus: 1, clock, registry: registry.client() },
        onBuild: ({ reference, platform }) => {
          const image = /f\/(\w+):/.exec(reference ?? '')?.[1];
          return { durationMs: durations[`build ${image} ${formatPlatform(platform)}`] ?? 0 };
        },
        onRun: () => undefined,
      });
      const info = await engine.probe(opening);
      if (!info.ok) return info;
      const builder = { ...shape, endpoint: 'sim', engine, info: info.value, registryAddress: 'registry:5000' };
      return ok({ builder, close: async () => undefined });
    },
  }));
  const wanted = both.map((platform) => ({ platform, mode: 'native' as const }));
  const health = { ...usualHealth, interval: 1e9 };
  const fleet = await clock.run(assembleFleet(sources, wanted, { clock, health, settle: 0 }, signal));
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
  const context: RunContext = {
    ...{ id: 'run', shared: false, registryAddress: 'registry:5000', plainHttp: true, embedded: false, force: false },
    ...{ registry: rememberedRegistry(registry.client()), fleet: fleet.value, clock, env: {} },
    emit: (event) => void events.push(event),
    readInputs: async ({ id }) => ok({ dockerfile: `FROM scratch\n# ${id}\n`, ignore: undefined, context: id }),
    audit: async () => ok([]),
    runGate: async () => ok(undefined),
  };
  const history = { ...replayHistory(journals, plan.family), unfinished: new Map() };
  const outcome = await clock.run(execute(plan, context, history, signal, { publish: true, build: true }));
  expect(outcome).toBe('done');
  await clock.run(fleet.value.close());
  return events;
}

/** What a builder began, where and when, in order. */
function startsOf(events: Event[]): string[] {
  const began = events[0]?.time ?? 0;
  return events.flatMap((event) =>
    event.type === 'task-started' && event.builder !== undefined
      ? [`${Math.round(event.time - began)} ${event.builder} ${event.task}`]
      : [],
  );
}

test('what is forecast from the journal of a run is what the next run does: the same tasks on the same builders at the same times', async () => {
  const plans = anyPlan({ platforms: both, publishes: true, most: 12 });
  // Of one speed, as a simulated engine is.
  const builders = anyBuilders(both).map((shapes) => shapes.map(({ speed: _, ...shape }) => shape));
  await fc.assert(
    fc.asyncProperty(plans, builders, async ({ plan, durations }, shapes) => {
      const first = await carryOut(plan, shapes, durations, []);
      const journal = first.map((event) => `${JSON.stringify(event)}\n`).join('');
      const second = await carryOut(plan, shapes, durations, [journal]);
      const expected = await forecast(plan, shapes, replayHistory([journal], plan.family));
      if (!expected.ok) throw new Error(JSON.stringify(expected.failure));
      const forecasted = expected.value.schedule.steps.flatMap(({ task, builder, start }) =>
        builder === undefined ? [] : [`${Math.round(start)} ${builder} ${task}`],
      );
      expect(startsOf(second)).toEqual(forecasted);
    }),
    { numRuns: 60 },
  );
});
