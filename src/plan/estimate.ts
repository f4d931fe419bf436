// How long each task of a plan will take on each builder, and how far it is from the end: from journals, or guessed from what is like
// it where no run has done it yet. Pure.
import { formatPlatform, type Platform } from '../image/platform.ts';
import { candidates } from './candidates.ts';
import { remainingPaths } from './critical-path.ts';
import { emulationFactor, learn, median, type Sample } from './learn.ts';
import type { Plan, Task } from './plan.ts';

/** What earlier runs of the family took. */
export interface Past {
  /** Task id to ms, from the newest run that has it. */
  durations: Readonly<Record<string, number>>;
  /** By build: the part of its time that went by after it was built, in pushing and reading back; 0 to 1. */
  pushShares?: Readonly<Record<string, number>>;
  /** Of builds and tests; oldest first. */
  samples: Sample[];
}

export const noPast: Past = { durations: {}, samples: [] };

/** A builder as far as time goes. */
export interface BuilderShape {
  name: string;
  native: Platform[];
  emulated: Platform[];
  slots: number;
  /** 2 does in half the time what 1 does. Undefined: as learnt, or 1. */
  speed?: number;
}

/** Where a task's time is from: runs of it; the image for other platforms; the other tasks of its kind; a constant. */
export type Basis = 'journal' | 'other-platform' | 'other-tasks' | 'default';

export interface Estimate {
  /** Natively, on a builder of speed 1; ms. */
  base(task: string): number;
  basis(task: string): Basis;
  /** On a builder, or on the coordinator where that has it; ms. */
  expected(task: string, builder?: string, emulated?: boolean): number;
  /** What of it goes by once a build is built; ms. */
  pushing(task: string, builder?: string, emulated?: boolean): number;
  /** From the beginning of the task to the end of the run, if nothing had to wait for a builder; ms. */
  remaining(task: string): number;
  speed(builder: string): number;
}

/** What is taken where nothing at all is known, ms. */
const defaults: Record<Task['kind'], number> = { build: 60_000, test: 10_000, publish: 2000 };

export function estimate(plan: Plan, past: Past, builders: BuilderShape[]): Estimate {
  const learned = learn(past.samples);
  const speeds = new Map(learned.speeds);
  for (const { name, speed } of builders) if (speed !== undefined) speeds.set(name, speed);
  const speed = (builder: string): number => speeds.get(builder) ?? 1;
  const known = (task: Task): number | undefined => learned.durations.get(task.id) ?? past.durations[task.id];
  const bases = guess(plan.tasks, known);

  const expected: Estimate['expected'] = (task, builder, emulated = false) =>
    ((bases.get(task)?.ms ?? 0) / (builder === undefined ? 1 : speed(builder))) * (emulated ? emulationFactor : 1);

  /** By platform and mode: how much longer than its base a task takes on the best builder that could have it. */
  const factors = new Map<string, number>();
  const bestFactor = (platform: Platform, mode: 'native' | 'emulated'): number => {
    const key = `${formatPlatform(platform)} ${mode}`;
    const found = factors.get(key) ?? Math.min(...factorsOn(builders, platform, mode, speed));
    factors.set(key, found);
    return Number.isFinite(found) ? found : 1;
  };
  const atBest = new Map(
    plan.tasks.map((task) => {
      const factor = task.kind === 'publish' ? 1 : bestFactor(task.platform, task.mode);
      return [task.id, expected(task.id) * factor];
    }),
  );
  const remaining = remainingPaths(plan, (task) => atBest.get(task) ?? 0);
  return {
    base: (task) => bases.get(task)?.ms ?? 0,
    basis: (task) => bases.get(task)?.basis ?? 'default',
    expected,
    pushing: (task, builder, emulated) =>
      Math.round(expected(task, builder, emulated) * (past.pushShares?.[task] ?? 0)),
    remaining: (task) => remaining.get(task) ?? 0,
    speed,
  };
}

/** One for each builder that could have it. */
function factorsOn(
  builders: BuilderShape[],
  platform: Platform,
  mode: 'native' | 'emulated',
  speed: (builder: string) => number,
): number[] {
  return candidates(builders, platform, mode).map(
    ({ builder, emulated }) => (emulated ? emulationFactor : 1) / speed(builder.name),
  );
}

function guess(
  tasks: Task[],
  known: (task: Task) => number | undefined,
): ReadonlyMap<string, { ms: number; basis: Basis }> {
  const byImage = new Map<string, number[]>();
  const byKind = new Map<Task['kind'], number[]>();
  for (const task of tasks) {
    const ms = known(task);
    if (ms === undefined) continue;
    note(byKind, task.kind, ms);
    note(byImage, `${task.kind} ${task.image}`, ms);
  }
  const usual = new Map([...byKind].map(([kind, list]) => [kind, median(list)]));
  return new Map(
    tasks.map((task): [string, { ms: number; basis: Basis }] => {
      const own = known(task);
      if (own !== undefined) return [task.id, { ms: own, basis: 'journal' }];
      const likes = byImage.get(`${task.kind} ${task.image}`);
      if (likes) return [task.id, { ms: median(likes), basis: 'other-platform' }];
      const others = usual.get(task.kind);
      if (others !== undefined) return [task.id, { ms: others, basis: 'other-tasks' }];
      return [task.id, { ms: defaults[task.kind], basis: 'default' }];
    }),
  );
}

function note<K>(map: Map<K, number[]>, key: K, value: number): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
