// Which images a pipeline makes, and which job makes which part of each: legs of one platform are found by the manifests that join
// them, or by the ending of their tags.
import type { Build } from './acts.ts';
import type { Run } from './circleci-workflows.ts';
import { type JobRun, type Output, platformsOfBuild } from './job-run.ts';
import { splitArch, splitReference } from './references.ts';
import { concrete } from './symbols.ts';

/** A job as one run of a workflow starts it; without a run where no workflow does. */
export interface Started {
  run?: Run;
  job: JobRun;
}

export interface Piece extends Started {
  /** Repository of the whole image with its registry; parameters have their values. */
  key: string;
  /** Of the whole image: without the ending of a leg. Parameters are symbols. */
  tag: string;
  /** As it is pushed. */
  fullTag: string;
  /** Ending of a leg's tag, as `-arm64`. */
  ending?: string;
  platforms: string[];
  isEmulated: boolean;
  line: number;
  origin:
    | { kind: 'build'; build: Build; by: JobRun }
    | Extract<Output['origin'], { kind: 'script' }>
    | { kind: 'mirror'; from: string }
    /** Another tag of what is made elsewhere, or the joining of legs. */
    | { kind: 'again' }
    | { kind: 'unknown' };
}

export function piecesOf(all: readonly Started[]): Piece[] {
  /** What each leg is joined into. */
  const joined = new Map<string, { repository: string; tag: string }>();
  for (const { job } of all) {
    for (const { reference, origin } of job.outputs) {
      if (origin.kind !== 'join') continue;
      const { repository, tag = 'latest' } = splitReference(reference);
      for (const from of origin.from)
        joined.set(concrete(from, job.params), { repository: concrete(repository, job.params), tag });
    }
  }
  const builtBy = (started: Started, reference: string): { build: Build; by: JobRun } | undefined => {
    const wanted = concrete(reference, started.job.params);
    for (const { job: by, run } of all) {
      if (run !== started.run) continue;
      const build = by.builds.find(({ tags }) => tags.some((tag) => concrete(tag, by.params) === wanted));
      if (build) return { build, by };
    }
    return undefined;
  };
  const made = new Set<string>();
  const first = all.flatMap((started) => started.job.outputs.map((output) => piece(started, output)));
  for (const { key, origin } of first) if (origin.kind === 'build' || origin.kind === 'script') made.add(key);
  return first.map((one): Piece => {
    if (one.origin.kind !== 'mirror') return one;
    const from = concrete(one.origin.from, one.job.params);
    const { repository } = splitReference(from);
    if (made.has(repository) || joined.has(from))
      return { ...one, origin: { kind: made.has(one.key) ? 'again' : 'mirror', from } };
    return {
      ...one,
      origin: repository === one.key ? { kind: made.has(one.key) ? 'again' : 'unknown' } : { kind: 'mirror', from },
    };
  });

  function piece(started: Started, output: Output): Piece {
    const { job } = started;
    const { repository, tag: fullTag = 'latest' } = splitReference(output.reference);
    const key = concrete(repository, job.params);
    const { line } = output;
    const base = { ...started, key, tag: fullTag, fullTag, line, isEmulated: false };
    if (output.origin.kind === 'join') {
      const platforms = output.origin.from.flatMap((from) => platformOfReference(concrete(from, job.params)) ?? []);
      return { ...base, platforms, origin: { kind: 'again' } };
    }
    const origin = output.origin.kind === 'reference' ? undefined : output.origin;
    const elsewhere = output.origin.kind === 'reference' ? builtBy(started, output.origin.from) : undefined;
    const from: Piece['origin'] =
      output.origin.kind === 'reference'
        ? elsewhere
          ? { kind: 'build', ...elsewhere }
          : { kind: 'mirror', from: output.origin.from }
        : output.origin.kind === 'build'
          ? { ...output.origin, by: job }
          : output.origin;
    const by = from.kind === 'build' ? from.by : job;
    const built = from.kind === 'build' ? platformsOfBuild(from.build, by) : undefined;
    const isEmulated = built !== undefined && (built.length > 1 || built[0] !== by.platform);
    const whole = joined.get(concrete(output.reference, job.params));
    const arch = splitArch(fullTag);
    const isLeg = whole !== undefined || (arch !== undefined && (built?.length ?? 1) === 1 && origin !== undefined);
    if (!isLeg) return { ...base, isEmulated, platforms: built ?? [by.platform], origin: from };
    const platform = platformOfReference(concrete(output.reference, job.params)) ?? built?.[0] ?? by.platform;
    return {
      ...base,
      key: whole?.repository ?? key,
      tag: arch?.rest ?? whole?.tag ?? fullTag,
      ...(arch ? { ending: arch.ending } : {}),
      platforms: [platform],
      isEmulated: platform !== by.platform,
      origin: from,
    };
  }
}

/** Platform that the ending of a tag, or else of a repository, names. */
export function platformOfReference(reference: string): string | undefined {
  const { repository, tag } = splitReference(reference);
  return (tag === undefined ? undefined : splitArch(tag)?.platform) ?? splitArch(repository)?.platform;
}
