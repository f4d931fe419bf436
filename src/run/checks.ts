// What a published image was held to: the audit's rules and the gates that it passed. An image whose tags are where they should be is not
// looked at again, unless it is now held to something else. That it passed is noted by its digest: on this machine, and in the registry
// where the config asks for more than the defaults do. (Tests need none of this: each has a key of its own, of image and commands.)
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import type { Digest } from '../image/oci.ts';
import type { Plan, PublishTask } from '../plan/plan.ts';
import { keyTag } from './build-key.ts';
import type { RunContext } from './context.ts';
import { keepUnder } from './keys.ts';

const checksSchema = z.object({ audit: z.string(), gates: z.string() });

/** Each empty where nothing is asked, and otherwise a text that changes with what is. */
export type Checks = z.infer<typeof checksSchema>;

export interface CheckNotes {
  isEmpty(): boolean;
  /** What the image with this digest has passed, as far as this machine has seen. */
  read(repository: string, digest: Digest): Checks | undefined;
  /** What can't be kept isn't: then it is checked again. */
  keep(repository: string, digest: Digest, checks: Checks): void;
}

type World = Pick<RunContext, 'registry' | 'registryAddress' | 'checked' | 'gateFiles'> &
  Partial<Pick<RunContext, 'shared'>>;

/** The audit's rules when a config says nothing of it. */
const usual = auditRules({ mode: 'stop', allow: [] });

/** Warnings hold nothing back, so that an audit which only warns asks for nothing. */
function auditRules({ mode, allow }: PublishTask['audit']): string {
  return mode === 'stop' ? JSON.stringify(allow.toSorted()) : '';
}

/** What an image is held to now. `gateFiles`: what the files are that a gate's command names, as one that is edited is another gate. */
export function checksOf(
  { audit, tags }: PublishTask,
  { gates }: Pick<Plan, 'gates'>,
  gateFiles: RunContext['gateFiles'] = () => '',
): Checks {
  const asked = gates.map(({ run }) => [run, gateFiles(run)]);
  return { audit: auditRules(audit), gates: asked.length === 0 ? '' : sha256(JSON.stringify([asked, tags])) };
}

function isUsual({ audit, gates }: Checks): boolean {
  return audit === usual && gates === '';
}

function asksNothing({ audit, gates }: Checks): boolean {
  return audit === '' && gates === '';
}

function tagOf(digest: Digest, { audit, gates }: Checks): string {
  return keyTag(sha256(JSON.stringify(['checked', 1, digest, audit, gates])));
}

/** Under which lies what was published with an audit other than the default: perhaps it would not pass that. */
function letPassTag(digest: Digest): string {
  return keyTag(sha256(JSON.stringify(['let pass', 1, digest])));
}

/**
 * Why a published image is to be checked again; undefined where it passed what is asked now. Where that is no more than the defaults, and
 * this machine knows of nothing else, it did: no registry is asked, but by the jobs of a shared run, which seldom have a state of their own.
 */
export async function whyCheckAgain(
  { repository }: Pick<PublishTask, 'repository'>,
  digest: Digest,
  now: Checks,
  { registry, registryAddress, checked, shared = false }: World,
  signal: AbortSignal,
): Promise<Result<string | undefined>> {
  const before = checked?.read(repository, digest);
  if (asksNothing(now)) {
    if (!before) checked?.keep(repository, digest, now);
    return ok(undefined);
  }
  const audited = now.audit === '' || now.audit === before?.audit;
  const passed = now.gates === '' || now.gates === before?.gates;
  if (audited && passed) return ok(undefined);
  const lies = async (tag: string): Promise<Result<boolean>> => {
    const found = await registry.headManifest({ registry: registryAddress, repository, tag }, signal);
    return found.ok ? ok(found.value?.digest === digest) : found;
  };
  if (!before && isUsual(now)) {
    const letPass = shared ? await lies(letPassTag(digest)) : ok(false);
    if (!letPass.ok || !letPass.value) return letPass.ok ? ok(undefined) : letPass;
  }
  const noted = await lies(tagOf(digest, now));
  if (!noted.ok) return noted;
  if (noted.value) {
    checked?.keep(repository, digest, now);
    return ok(undefined);
  }
  if (!before) return ok('nothing says that it passed what is asked of it now');
  return ok([...(audited ? [] : ['audit changed']), ...(passed ? [] : ['gates changed'])].join(', '));
}

/** Of the images that a run would find published, why it would check them again, by the publish task's id. Only reads. */
export async function explainChecks(
  plan: Plan,
  there: ReadonlySet<string>,
  { checked, ...world }: World,
  signal: AbortSignal,
): Promise<Result<Map<string, string>>> {
  const reasons = new Map<string, string>();
  const reading = checked ? { ...world, checked: { ...checked, keep: () => undefined } } : world;
  async function explain(task: PublishTask): Promise<Result<void>> {
    const { repository, tags } = task;
    const now = checksOf(task, plan, world.gateFiles);
    const mayDiffer = !asksNothing(now) && !(isUsual(now) && (checked?.isEmpty() ?? true));
    // What will be built is checked in any case.
    if (!mayDiffer || tags[0] === undefined || !task.builds.every((build) => there.has(build.task)))
      return ok(undefined);
    const at = { registry: world.registryAddress, repository, tag: tags[0] };
    const published = await world.registry.headManifest(at, signal);
    if (!published.ok || !published.value) return published.ok ? ok(undefined) : published;
    const why = await whyCheckAgain(task, published.value.digest, now, reading, signal);
    if (!why.ok) return why;
    if (why.value !== undefined) reasons.set(task.id, why.value);
    return ok(undefined);
  }
  const explained = await Promise.all(
    plan.tasks.map((task) => (task.kind === 'publish' ? explain(task) : ok(undefined))),
  );
  return explained.find((one) => !one.ok) ?? ok(reasons);
}

/** Leaves word that an image passed. Of the defaults only where it is checked `again`, or noted for something else: all others are taken as passed. */
export async function noteChecked(
  { id, repository }: Pick<PublishTask, 'id' | 'repository'>,
  { digest, mediaType }: { digest: Digest; mediaType: string },
  now: Checks,
  again: boolean,
  run: World & Pick<RunContext, 'emit' | 'clock'>,
  signal: AbortSignal,
): Promise<Result<void>> {
  const tags = [
    ...(asksNothing(now) || (isUsual(now) && !again) ? [] : [tagOf(digest, now)]),
    ...(now.audit === usual ? [] : [letPassTag(digest)]),
  ];
  for (const tag of tags) {
    const kept = await keepUnder({ id, repository }, tag, { digest, mediaType, size: 0 }, run, signal);
    if (!kept.ok) return kept;
  }
  const before = run.checked?.read(repository, digest);
  if (before ? !asksNothing(now) : !isUsual(now)) run.checked?.keep(repository, digest, now);
  return ok(undefined);
}

/** One small file an image that was held to something else than the defaults: most families have none. */
export function openChecks(folder: string): CheckNotes {
  let files: Set<string> | undefined;
  const nameOf = (repository: string, digest: Digest): string =>
    `${sha256(`${repository}@${digest}`).slice('sha256:'.length)}.json`;
  const list = (): Set<string> => {
    files ??= new Set(namesIn(folder));
    return files;
  };
  return {
    isEmpty: () => list().size === 0,
    read(repository, digest) {
      const name = nameOf(repository, digest);
      return list().has(name) ? readChecks(join(folder, name)) : undefined;
    },
    keep(repository, digest, { audit, gates }) {
      const name = nameOf(repository, digest);
      try {
        mkdirSync(folder, { recursive: true });
        writeFileSync(join(folder, `${name}.new`), JSON.stringify({ audit, gates }));
        renameSync(join(folder, `${name}.new`), join(folder, name));
        list().add(name);
      } catch {
        // The journal is what must be written; a full disk is found there.
      }
    },
  };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** One that can't be read tells of nothing that was passed. */
function readChecks(file: string): Checks {
  try {
    return checksSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return { audit: '', gates: '' };
  }
}
