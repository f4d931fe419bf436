// Plans and builders for property tests: any graph of tasks, on any builders that can do all of it.
import fc from 'fast-check';
import type { Platform } from '../image/platform.ts';
import type { BuilderShape } from './estimate.ts';
import type { BuildTask, Plan, PublishTask, Task } from './plan.ts';

export const amd64: Platform = { os: 'linux', architecture: 'amd64' };
export const arm64: Platform = { os: 'linux', architecture: 'arm64' };

export interface DrawnPlan {
  plan: Plan;
  /** Task id to ms. */
  durations: Record<string, number>;
}

export function planOf(tasks: Task[]): Plan {
  return { version: 1, family: 'f', publish: 'image', failedPlatform: 'hold', gates: [], tasks };
}

export function buildTask(image: string, platform: Platform, parents: string[] = []): BuildTask {
  const id = (name: string): string => `build ${name} linux/${platform.architecture}`;
  return {
    ...{ kind: 'build', id: id(image), image, platform, mode: 'native', repository: `f/${image}` },
    ...{ context: '/', dockerfile: '/Dockerfile', args: {}, secrets: [] },
    // Any places that don't overlap.
    upstreams: parents.map((parent, index) => ({
      task: id(parent),
      reference: `f/${parent}`,
      range: { start: 2 * index, end: 2 * index + 1 },
    })),
    needs: parents.map(id),
  };
}

export function publishTask(image: string, builds: BuildTask[]): PublishTask {
  return {
    ...{ kind: 'publish', id: `publish ${image}`, image, repository: `f/${image}`, tags: ['t'] },
    builds: builds.map(({ id, platform }) => ({ task: id, platform, archTags: [] })),
    ...{ audit: { mode: 'stop', allow: [] }, needs: builds.map(({ id }) => id) },
  };
}

/** Images on up to three earlier ones each, for one or both platforms, some published; no two tasks take as long. */
export function anyPlan(options: { platforms: Platform[]; publishes: boolean; most: number }): fc.Arbitrary<DrawnPlan> {
  const { platforms, publishes, most } = options;
  const image = fc.record({
    parents: fc.array(fc.nat(), { maxLength: 3 }),
    times: fc.tuple(...platforms.map(() => fc.integer({ min: 1, max: 1_000_000 }))),
    published: fc.boolean(),
  });
  return fc.array(image, { minLength: 1, maxLength: most }).map((images): DrawnPlan => {
    const durations: Record<string, number> = {};
    const tasks: Task[] = [];
    for (const [index, { parents, times, published }] of images.entries()) {
      const names = index === 0 ? [] : [...new Set(parents.map((parent) => `i${parent % index}`))];
      const builds = platforms.map((platform) => buildTask(`i${index}`, platform, names));
      // A fraction that no other task has: two never end at the same moment by chance.
      for (const [place, { id }] of builds.entries())
        durations[id] = (times[place] ?? 1) + Math.sqrt(tasks.length + place + 2) / 1000;
      tasks.push(...builds);
      if (publishes && published) {
        const publish = publishTask(`i${index}`, builds);
        durations[publish.id] = 1 + Math.sqrt(tasks.length + 2) / 1000;
        tasks.push(publish);
      }
    }
    return { plan: planOf(tasks), durations };
  });
}

/** One to four, of which at least one is native for each platform. */
export function anyBuilders(platforms: Platform[]): fc.Arbitrary<BuilderShape[]> {
  const builder = fc.record({
    native: fc.subarray(platforms, { minLength: 1 }),
    slots: fc.integer({ min: 1, max: 3 }),
    speed: fc.constantFrom(0.5, 1, 1, 1, 2),
  });
  return fc.array(builder, { minLength: 1, maxLength: 4 }).map((builders) =>
    builders.map(({ native, slots, speed }, index) => ({
      ...{ name: `b${index}`, emulated: [], slots, speed },
      native: index === 0 ? platforms : native,
    })),
  );
}
