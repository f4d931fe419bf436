// What an image is built on, as the jobs say it: by what they require, through jobs that only join or test, and by what they pull.
import type { MadeGroup } from './groups.ts';
import type { Made } from './images.ts';
import type { Piece, Started } from './pieces.ts';
import { splitArch, splitReference } from './references.ts';
import { concrete } from './symbols.ts';

/** Names of images, by image. */
export function edgesOf(
  all: readonly Started[],
  images: readonly Made[],
  groups: readonly MadeGroup[],
): Map<string, string[]> {
  const makersOf = new Map<Started['job'], Set<string>>();
  for (const { image, pieces } of images) {
    for (const piece of pieces) makersOf.set(piece.job, (makersOf.get(piece.job) ?? new Set()).add(image.name));
  }
  const siblings = (name: string): string[] =>
    groups.find(({ group }) => group.images.includes(name))?.group.images ?? [name];
  const edges = new Map<string, Set<string>>(images.map(({ image }) => [image.name, new Set()]));
  const known = new Map(images.map(({ key, image }) => [key, image.name]));

  for (const { image, pieces } of images) {
    const found = edges.get(image.name) ?? new Set();
    const own = new Set(siblings(image.name));
    for (const piece of pieces.filter(isMaking)) {
      for (const name of requiredImages(piece, all, makersOf, own)) found.add(name);
      for (const pull of piece.job.pulls) {
        const { repository } = splitReference(concrete(pull, piece.job.params));
        const name = known.get(repository) ?? known.get(splitArch(repository)?.rest ?? '');
        if (name !== undefined && !own.has(name)) found.add(name);
      }
    }
  }
  // The order of the file, so that what is read first is built first.
  const order = images.map(({ image }) => image.name);
  return new Map([...edges].map(([name, needs]) => [name, order.filter((other) => needs.has(other))]));
}

function isMaking({ origin }: Piece): boolean {
  return origin.kind === 'build' || origin.kind === 'script';
}

function requiredImages(
  { run, job }: Piece,
  all: readonly Started[],
  makersOf: ReadonlyMap<Started['job'], Set<string>>,
  own: ReadonlySet<string>,
): Set<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  const follow = (names: readonly string[]): void => {
    for (const name of names) {
      if (seen.has(name)) continue;
      seen.add(name);
      const required = all.find((other) => other.run === run && other.job.invocation.name === name);
      if (!required) continue;
      const others = [...(makersOf.get(required.job) ?? [])].filter((image) => !own.has(image));
      for (const image of others) found.add(image);
      if (others.length === 0) follow(required.job.invocation.requires);
    }
  };
  if (run) follow(job.invocation.requires);
  return found;
}

/** Jobs that must be done before one, with those before them. */
export function closureOf(start: Started, all: readonly Started[]): Started[] {
  const found: Started[] = [];
  const follow = (names: readonly string[]): void => {
    for (const name of names) {
      const one = all.find((other) => other.run === start.run && other.job.invocation.name === name);
      if (!one || found.includes(one)) continue;
      found.push(one);
      follow(one.job.invocation.requires);
    }
  };
  follow(start.job.invocation.requires);
  return found;
}
