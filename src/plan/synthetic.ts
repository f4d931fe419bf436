// A family that nobody wrote, for questions of capacity: so many images, so many on each, so deep, for each platform. Pure.
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { BuildTask, Plan, Task } from './plan.ts';

export interface SyntheticFamily {
  images: number;
  platforms: Platform[];
  /** Images on the longest way from one that is built on nothing to the last, at least 1. */
  depth: number;
  /** Images that are built on one, at least 1. */
  fanOut: number;
  chain: 'arch' | 'manifest';
  mode: 'native' | 'emulated';
  /** Mean time of a build, ms. */
  buildMs: number;
}

export interface SyntheticPlan {
  plan: Plan;
  /** Task id to ms, on a builder of speed 1. */
  durations: Record<string, number>;
}

/** Ms that the joining and publishing of one image is taken to need. */
const publishMs = 2000;

/**
 * Trees of `depth` levels, as many as it takes for the images, the last one incomplete. Times are spread evenly from half of the mean
 * to one and a half of it, the same at each call: neighbours differ, as they do in life.
 */
export function syntheticPlan(family: SyntheticFamily): SyntheticPlan {
  const { images, platforms, depth, fanOut, chain, mode, buildMs } = family;
  const treeSize = sizeOfTree(depth, fanOut, images);
  const durations: Record<string, number> = {};
  const tasks: Task[] = [];
  for (let number = 0; number < images; number += 1) {
    const place = number % treeSize;
    const parent = place === 0 ? undefined : number - place + Math.floor((place - 1) / fanOut);
    const image = `image-${number}`;
    const builds = platforms.map((platform): BuildTask => {
      const name = formatPlatform(platform);
      const upstream = `build image-${parent} ${name}`;
      const needs = parent === undefined ? [] : chain === 'manifest' ? [`publish image-${parent}`] : [upstream];
      return {
        ...{ kind: 'build', id: `build ${image} ${name}`, image, platform, mode, repository: `synthetic/${image}` },
        ...{ context: '', dockerfile: '', args: {}, secrets: [], needs },
        upstreams: parent === undefined ? [] : [{ task: upstream, reference: '', range: { start: 0, end: 0 } }],
      };
    });
    const publish: Task = {
      ...{ kind: 'publish', id: `publish ${image}`, image, repository: `synthetic/${image}` },
      builds: builds.map(({ id, platform }) => ({ task: id, platform, archTags: [] })),
      ...{ tags: ['latest'], audit: { mode: 'stop', allow: [] }, needs: builds.map(({ id }) => id) },
    };
    const ms = Math.round(buildMs * (0.5 + ((number * goldenRatio) % 1)));
    for (const { id } of builds) durations[id] = ms;
    durations[publish.id] = publishMs;
    tasks.push(...builds, publish);
  }
  return {
    plan: { version: 1, family: 'synthetic', publish: 'image', failedPlatform: 'hold', gates: [], tasks },
    durations,
  };
}

/** Its multiples modulo 1 lie as evenly as can be. */
const goldenRatio = (Math.sqrt(5) - 1) / 2;

function sizeOfTree(depth: number, fanOut: number, most: number): number {
  let size = 0;
  for (let [level, width] = [0, 1]; level < depth && size < most; level += 1, width *= fanOut) size += width;
  return Math.max(1, size);
}
