// Of each build of a plan, whether it will be done, and why: what of the things that go into its key has changed since the last one.
import { relative } from 'node:path';
import { ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import { isIndexType } from '../image/oci.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuildTask, Plan } from '../plan/plan.ts';
import { type KeyParts, keyTag } from './build-key.ts';
import { explainChecks } from './checks.ts';
import type { RunContext } from './context.ts';
import { findByKey } from './keys.ts';
import type { PartsReader, PartsStore } from './keys-parts.ts';
import { type Standing, survey } from './keys-survey.ts';
import { wasTested } from './test-task.ts';

export interface BuildReason {
  state: 'there' | 'build';
  /** Unknown where it depends on what will be built. */
  key?: Digest;
  /** Of one that will be built: never empty. Sentences without a capital or full stop. */
  why: string[];
}

export type WhyWorld = Pick<
  RunContext,
  'registry' | 'registryAddress' | 'clock' | 'readInputs' | 'checked' | 'gateFiles'
> & {
  parts: Pick<PartsStore, 'read'> & PartsReader;
};

export interface Explained {
  /** By task id. */
  builds: Map<string, BuildReason>;
  /** Ids of the builds and tests that a run would not do again. */
  there: Set<string>;
  /** Tests of images that are there, and images that are published, that a run would check again, by task id: why. */
  again: Map<string, string>;
}

/** Only reads: a HEAD for each key, and two for an image that was, or is, held to more than the defaults. */
export async function explainBuilds(plan: Plan, world: WhyWorld, signal: AbortSignal): Promise<Result<Explained>> {
  const { registry, registryAddress, clock, readInputs, parts } = world;
  const quiet = { registry, registryAddress, clock, emit: () => undefined };
  const standings = await survey(plan, {
    readInputs,
    async findBuild(task, key) {
      const reference = { registry: registryAddress, repository: task.repository, tag: keyTag(key) };
      const top = await registry.headManifest(reference, signal);
      if (!top.ok || !top.value) return top.ok ? ok(undefined) : top;
      const kept = parts.read(task)?.image;
      if (kept?.top.digest === top.value.digest) return ok(kept.child.descriptor.digest);
      if (!isIndexType(top.value.mediaType)) return ok(top.value.digest);
      const image = await findByKey(task, key, quiet, signal);
      return image.ok ? ok(image.value?.child.descriptor.digest) : image;
    },
    findTest: (task, digest) => wasTested(task, digest, quiet, signal),
  });
  if (!standings.ok) return standings;
  const builds = new Map<string, BuildReason>();
  const there = new Set<string>();
  for (const task of plan.tasks) {
    const standing = standings.value.get(task.id);
    if (standing?.state === 'there') there.add(task.id);
    if (task.kind === 'build' && standing) builds.set(task.id, reasonOf(task, standing, parts, plan));
  }
  const again = await explainChecks(plan, there, world, signal);
  if (!again.ok) return again;
  for (const { id, kind } of plan.tasks) {
    if (kind === 'test' && standings.value.get(id)?.state === 'missing')
      again.value.set(id, 'its image is there, and has not passed these commands');
  }
  return ok({ builds, there, again: again.value });
}

function reasonOf(task: BuildTask, standing: Standing, parts: WhyWorld['parts'], plan: Plan): BuildReason {
  if (standing.state === 'follows')
    return { state: 'build', why: [`because its parent ${nameOf(standing.because, plan)} will be built`] };
  const { prepared } = standing;
  const key = prepared ? { key: prepared.key } : {};
  if (standing.state === 'there') return { state: 'there', ...key, why: [] };
  const unpinned = (prepared?.unpinned ?? []).map(
    ({ reference, why }) => `${reference} can't be pinned to a digest, so that it is built in every run (${why})`,
  );
  if (unpinned.length > 0 || !prepared) return { state: 'build', ...key, why: unpinned };
  if (parts.read(task)?.key === prepared.key)
    return { state: 'build', ...key, why: ['nothing has changed, but the registry has its last build no more'] };
  const before = parts.partsOf(task);
  if (!before)
    return {
      state: 'build',
      ...key,
      why: ['no build with this key in the registry (no local record of the last one)'],
    };
  const why = differences(before, prepared.parts, task, plan);
  return { state: 'build', ...key, why: why.length > 0 ? why : ['keys are made in another way since the last build'] };
}

/** What is not the same in two builds of one image. */
function differences(before: KeyParts, now: KeyParts, task: BuildTask, plan: Plan): string[] {
  const own = relative(task.context, task.dockerfile);
  const others = (files: KeyParts['files'] = {}) => Object.entries(files).filter(([path]) => path !== own);
  const files = before.files && now.files ? changes(others(before.files), others(now.files)) : [];
  const untold = before.context !== now.context && !(before.files && now.files);
  return [
    ...dockerfileChange(before.dockerfile, now.dockerfile),
    ...(untold ? ['its context changed'] : fileChanges(files)),
    ...changes(Object.entries(before.args), Object.entries(now.args)).map(({ name, from, to }) =>
      to === undefined
        ? `arg ${name} is gone`
        : `arg ${name} is ${quote(to)}${from === undefined ? '' : `, was ${quote(from)}`}`,
    ),
    ...(before.target === now.target ? [] : [`its target is ${quote(now.target)}, was ${quote(before.target)}`]),
    ...(String([...before.secrets].sort()) === String([...now.secrets].sort()) ? [] : ['it is given other secrets']),
    ...changes(Object.entries(before.externals), Object.entries(now.externals)).flatMap(({ name, from, to }) =>
      from === undefined || to === undefined ? [] : [`${name} is another image now (${to || 'not to be found out'})`],
    ),
    ...changes(Object.entries(before.upstreams), Object.entries(now.upstreams)).flatMap(({ name, from, to }) =>
      from === undefined || to === undefined ? [] : [`its parent ${nameOf(name, plan)} is another image now`],
    ),
  ];
}

interface Change {
  name: string;
  from: string | undefined;
  to: string | undefined;
}

function changes(before: [string, string][], now: [string, string][]): Change[] {
  const from = new Map(before);
  const to = new Map(now);
  return [...new Set([...from.keys(), ...to.keys()])]
    .map((name) => ({ name, from: from.get(name), to: to.get(name) }))
    .filter((change) => change.from !== change.to)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const named = 3;

function fileChanges(files: Change[]): string[] {
  // A folder is told only where nothing in it is: it comes and goes with its files.
  const told = files.filter(({ name }) => !files.some((other) => other.name.startsWith(`${name}/`)));
  const lines = told.slice(0, named).map(({ name, from, to }) => {
    if (from === undefined) return `${name} is new`;
    if (to === undefined) return `${name} is gone`;
    const [kind, mode, content] = from.split(' ');
    const [kindNow, modeNow, contentNow] = to.split(' ');
    const sameContent = kind === kindNow && content === contentNow;
    return sameContent && mode !== modeNow ? `${name} has mode ${modeNow}, had ${mode}` : `${name} changed`;
  });
  const more = told.length - lines.length;
  return more > 0 ? [...lines, `${more} more files changed`] : lines;
}

function dockerfileChange(before: string, now: string): string[] {
  if (before === now) return [];
  const old = before.split('\n');
  const lines = now.split('\n');
  const at = lines.findIndex((line, index) => line !== old[index]);
  const line = lines[at]?.trim();
  return [
    line
      ? `line ${at + 1} of its Dockerfile changed: ${line}`
      : `its Dockerfile changed at line ${(at < 0 ? lines.length : at) + 1}`,
  ];
}

function quote(text: string): string {
  return `'${text}'`;
}

const tasksOf = new WeakMap<Plan, ReadonlyMap<string, Plan['tasks'][number]>>();

function nameOf(id: string, plan: Plan): string {
  const known = tasksOf.get(plan) ?? new Map(plan.tasks.map((one) => [one.id, one]));
  tasksOf.set(plan, known);
  const task = known.get(id);
  return task && task.kind !== 'publish' ? `${task.image} ${formatPlatform(task.platform)}` : id;
}

/** `will be built: src/main changed`, `is there already`. */
export function describeReason({ state, why }: BuildReason): string {
  return state === 'there' ? 'is there already: its key is in the registry' : `will be built: ${why.join('; ')}`;
}
