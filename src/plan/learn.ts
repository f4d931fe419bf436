// What earlier runs tell of tasks and builders: how long a task takes, and how much quicker one builder is than another. Pure.

/** A task that was done, as a journal has it. */
export interface Sample {
  task: string;
  builder: string;
  emulated: boolean;
  durationMs: number;
}

export interface Learned {
  /** Task id to ms, natively, on a builder of speed 1. */
  durations: ReadonlyMap<string, number>;
  /** Builder's name to its speed: 2 does in half the time what 1 does. Only of those that have done tasks which others did too. */
  speeds: ReadonlyMap<string, number>;
}

/** How much longer a build takes under QEMU than natively. 10 to 50 is what is seen: the low end, so as not to promise too much. */
export const emulationFactor = 10;

/** Of how many runs of a task on a builder the median is taken: the newest. */
const newest = 5;

/** A single odd pair of runs must not make a builder look dead, or a wonder. */
const slowest = 1 / 20;
const fastest = 20;

/**
 * A task's time on a builder is taken to be its own time divided by the builder's speed. Both are found by turns, each from the
 * other, starting from equal speeds; the geometric mean of the learnt speeds is 1. `samples`: oldest first.
 */
export function learn(samples: Iterable<Sample>): Learned {
  const byTask = new Map<string, Map<string, number[]>>();
  for (const { task, builder, emulated, durationMs } of samples) {
    const byBuilder = byTask.get(task) ?? new Map<string, number[]>();
    byTask.set(task, byBuilder);
    const times = byBuilder.get(builder) ?? [];
    byBuilder.set(builder, times);
    times.push(Math.max(1, durationMs) / (emulated ? emulationFactor : 1));
    if (times.length > newest) times.shift();
  }
  const medians = new Map(
    [...byTask].map(([task, byBuilder]) => [
      task,
      [...byBuilder].map(([name, times]) => ({ name, ms: median(times) })),
    ]),
  );
  const shared = [...medians.values()].filter((times) => times.length > 1);
  const names = new Set(shared.flatMap((times) => times.map(({ name }) => name)));
  let speeds = new Map([...names].map((name) => [name, 1]));
  for (let turn = 0; turn < 20 && names.size > 0; turn += 1) {
    const ratios = new Map<string, number[]>([...names].map((name) => [name, []]));
    for (const times of shared) {
      const own = timeAtSpeedOne(times, speeds);
      for (const { name, ms } of times) ratios.get(name)?.push(own / ms);
    }
    const raw = new Map([...ratios].map(([name, list]) => [name, median(list)]));
    const middle = geometricMean([...raw.values()]);
    speeds = new Map([...raw].map(([name, speed]) => [name, Math.min(fastest, Math.max(slowest, speed / middle))]));
  }
  return { durations: new Map([...medians].map(([task, times]) => [task, timeAtSpeedOne(times, speeds)])), speeds };
}

function timeAtSpeedOne(times: { name: string; ms: number }[], speeds: ReadonlyMap<string, number>): number {
  return geometricMean(times.map(({ name, ms }) => ms * (speeds.get(name) ?? 1)));
}

/** NaN of nothing. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

function geometricMean(values: number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
