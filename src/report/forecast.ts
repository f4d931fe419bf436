// What a run is expected to take, in words and numbers: for `splitbuild plan`, and for each scenario of `splitbuild simulate`.

import type { AssumedBuilder } from '../fleet/assume.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { ProviderCost } from '../plan/cost.ts';
import type { EmulatedJob } from '../plan/emulated.ts';
import type { Basis, BuilderShape, Estimate } from '../plan/estimate.ts';
import type { Plan, Task } from '../plan/plan.ts';
import type { Schedule } from '../plan/simulate.ts';
import { formatDuration } from './duration.ts';
import { taskLabel } from './timeline.ts';

export interface BuilderUse {
  name: string;
  slots: number;
  tasks: number;
  busyMs: number;
  /** Of its slots' time until the end of the run, 0 to 1. */
  utilisation: number;
}

/** In the order of `builders`. */
export function useOfBuilders(
  { steps, wallMs }: Schedule,
  builders: Pick<BuilderShape, 'name' | 'slots'>[],
): BuilderUse[] {
  const byBuilder = Map.groupBy(steps, ({ builder }) => builder);
  return builders.map(({ name, slots }) => {
    const own = byBuilder.get(name) ?? [];
    const busyMs = own.reduce((sum, { start, slotEnd }) => sum + slotEnd - start, 0);
    return { name, slots, tasks: own.length, busyMs, utilisation: wallMs > 0 ? busyMs / (slots * wallMs) : 0 };
  });
}

/** `Critical path: base arm64 → app arm64 → publish app, 2 min 05 s`; a long one with its middle left out. */
export function describeCriticalPath({ critical }: Schedule, tasks: ReadonlyMap<string, Task>): string {
  const names = critical.path.map((id) => {
    const task = tasks.get(id);
    return task ? taskLabel(task) : id;
  });
  const most = 12;
  const shown =
    names.length <= most
      ? names
      : [...names.slice(0, most / 2), `… ${names.length - most} more …`, ...names.slice(-most / 2)];
  return `Critical path: ${shown.join(' → ')}, ${formatDuration(critical.durationMs)}`;
}

/** `left`: the plan without them. */
export function describeThere(there: number, left: Plan): string {
  return `${there} of ${there + left.tasks.length} tasks are there already: what follows is of the others`;
}

export function describeWall({ wallMs, critical }: Schedule): string {
  const ratio = critical.durationMs > 0 ? `, ${(wallMs / critical.durationMs).toFixed(2)}x the critical path` : '';
  return `Expected: ${formatDuration(wallMs)}${ratio}`;
}

export function describeEmulatedJob({ wallMs, factor, machine }: EmulatedJob, { wallMs: own }: Schedule): string {
  const ratio = own > 0 ? `, ${(wallMs / own).toFixed(1)}x as long` : '';
  return `One emulated job: ${formatDuration(wallMs)}${ratio} (assumed: every platform after the other on one ${formatPlatform(machine)} machine, ${factor} times slower under QEMU; 10 to 50 times is what is seen)`;
}

const bases: Record<Basis, string> = {
  journal: 'from earlier runs',
  'other-platform': 'as the same image for another platform',
  'other-tasks': 'as the median of the others',
  default: 'guessed, as nothing is known yet',
};

/** `Times: 12 tasks from earlier runs, 3 as the median of the others`. */
export function describeBasis(plan: Plan, estimate: Pick<Estimate, 'basis'>): string {
  const counts = Map.groupBy(plan.tasks, ({ id }) => estimate.basis(id));
  const parts = (Object.keys(bases) as Basis[]).flatMap((basis) => {
    const count = counts.get(basis)?.length;
    return count === undefined ? [] : [`${count} ${bases[basis]}`];
  });
  return `Times of tasks: ${parts.join(', ')}`;
}

/** Undefined where nothing is assumed of them. */
export function describeAssumptions(builders: AssumedBuilder[]): string | undefined {
  const parts = builders.flatMap(({ name, native, emulated, slots, assumedPlatforms, assumedSlots }) => {
    const list = (platforms: Platform[]): string => platforms.map(formatPlatform).join(', ');
    const words = [
      ...(assumedPlatforms && native.length > 0 ? [`native for ${list(native)}`] : []),
      ...(assumedPlatforms && emulated.length > 0 ? [`able to emulate ${list(emulated)}`] : []),
      ...(assumedSlots ? [`${slots} ${slots === 1 ? 'slot' : 'slots'}`] : []),
    ];
    return words.length > 0 ? [`${name}: ${words.join('; ')}`] : [];
  });
  return parts.length > 0 ? `Assumed of builders that no run has seen yet: ${parts.join(' | ')}` : undefined;
}

export function describeUse(uses: BuilderUse[], speed: (builder: string) => number): string[] {
  const shown = uses.slice(0, 40);
  const width = Math.max(0, ...shown.map(({ name }) => name.length));
  const lines = shown.map(({ name, slots, tasks, utilisation }) => {
    const own = speed(name);
    const fast = own === 1 ? '' : `, speed ${own.toFixed(2)}`;
    const many = `${slots} ${slots === 1 ? 'slot' : 'slots'}`;
    return `  ${name.padEnd(width)}  ${many}${fast}, ${tasks} tasks, ${Math.round(utilisation * 100)} % busy`;
  });
  return uses.length > shown.length ? [...lines, `  ${uses.length - shown.length} more builders`] : lines;
}

/** A line a class, natively and as emulated jobs. */
export function describeCosts(costs: ProviderCost[]): string[] {
  return costs.flatMap(({ provider, placement, classes, total }) => [
    `Machines of ${provider}, ${placement === 'native' ? 'each platform on its own' : 'one emulated job an image'}${total === undefined ? '' : `: ${formatCost(total)}`}`,
    ...classes.map(
      ({ machine, minutes, perMinute, cost }) =>
        `  ${machine}: ${minutes.toFixed(1)} min${cost === undefined ? " (no cost of it under 'costs')" : ` at ${perMinute}, ${formatCost(cost)}`}`,
    ),
  ]);
}

function formatCost(cost: number): string {
  return cost >= 100 ? cost.toFixed(0) : cost.toPrecision(3);
}
