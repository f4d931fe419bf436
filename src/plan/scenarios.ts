// The scenarios that a question of capacity asks for: every combination of what it varies. Pure.
import { formatPlatform, type Platform, samePlatform } from '../image/platform.ts';
import type { BuilderShape } from './estimate.ts';
import type { Plan } from './plan.ts';

export type Chain = 'arch' | 'manifest';
export type Mode = 'native' | 'emulated';

/** Empty or absent: as it is. */
export interface Variation<Builder extends BuilderShape> {
  builders?: Builder[];
  /** Of every builder. */
  slots: number[];
  modes: Mode[];
  chains: Chain[];
}

export interface Scenario<Builder extends BuilderShape> {
  /** `4 slots, chain manifest`; `as configured` where nothing is varied. */
  name: string;
  builders: Builder[];
  mode?: Mode;
  chain?: Chain;
}

/**
 * What is there first, for comparison, and then all that is asked; in the order in which it was asked. `withSlots` is a builder that has
 * another number of slots.
 */
export function makeScenarios<Builder extends BuilderShape>(
  existing: Builder[],
  asked: Variation<Builder>,
  withSlots: (builder: Builder, slots: number) => Builder,
): Scenario<Builder>[] {
  const scenarios: Scenario<Builder>[] = [];
  for (const chain of orAsItIs(asked.chains)) {
    for (const mode of orAsItIs(asked.modes)) {
      for (const slots of orAsItIs(asked.slots)) {
        const words = [
          ...(asked.builders && existing.length > 0 ? ['other builders'] : []),
          ...(slots === undefined ? [] : [`${slots} ${slots === 1 ? 'slot' : 'slots'}`]),
          ...(mode === undefined ? [] : [`mode ${mode}`]),
          ...(chain === undefined ? [] : [`chain ${chain}`]),
        ];
        if (words.length === 0 && existing.length > 0) continue;
        const builders = asked.builders ?? existing;
        scenarios.push({
          name: words.join(', ') || 'as asked',
          builders: slots === undefined ? builders : builders.map((builder) => withSlots(builder, slots)),
          ...(mode === undefined ? {} : { mode }),
          ...(chain === undefined ? {} : { chain }),
        });
      }
    }
  }
  return existing.length > 0 ? [{ name: 'as configured', builders: existing }, ...scenarios] : scenarios;
}

function orAsItIs<T>(values: T[]): (T | undefined)[] {
  return values.length > 0 ? values : [undefined];
}

/** The plan with another mode for all its tasks. */
export function withMode(plan: Plan, mode: Mode | undefined): Plan {
  if (mode === undefined) return plan;
  return { ...plan, tasks: plan.tasks.map((task) => (task.kind === 'publish' ? task : { ...task, mode })) };
}

/** The builders as they are where QEMU is set up on each for whatever it is not native for. */
export function withEmulation<Builder extends BuilderShape>(builders: Builder[], platforms: Platform[]): Builder[] {
  const wanted = [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
  return builders.map((builder) => ({
    ...builder,
    emulated: wanted.filter((platform) => !builder.native.some((own) => samePlatform(own, platform))),
  }));
}
