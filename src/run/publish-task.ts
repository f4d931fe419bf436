// An image made ready to be published: its platforms joined, verified, audited and let through the gates. No tag of its own moves here.
import type { GateConfig } from '../config/config.ts';
import { fail, ok, type Result } from '../failure.ts';
import { type Child, composeIndex } from '../image/join.ts';
import type { Digest } from '../image/oci.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import { verifyIndex } from '../image/verify.ts';
import type { PublishTask } from '../plan/plan.ts';
import { mayPass } from './attempts.ts';
import type { RunContext } from './context.ts';
import { readStaged } from './keys.ts';
import type { MoveGroup } from './transaction.ts';

/** An image that is staged and verified, and the moves that make it public. */
export interface Staged {
  digest: Digest;
  mediaType: string;
  /** One a tag. */
  groups: MoveGroup[];
  /** How it stands if it is refused: `is not published`. */
  standing: string;
}

export interface ReadyPlatform {
  /** Id of its build. */
  build: string;
  platform: Platform;
  child: Child;
  archTags: string[];
  /** It is the last good image of a platform that could not be built now. */
  carried: boolean;
}

/** Pushes the joined index under a name of the run's own, and verifies it. */
export async function stageImage(
  task: PublishTask,
  platforms: ReadyPlatform[],
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<Staged>> {
  const { repository } = task;
  const index = composeIndex(platforms.map(({ child }) => child));
  // With a tag, a registry that drops manifests without one early keeps it.
  const reference = { registry: run.registryAddress, repository, tag: run.id };
  const pushed = await run.registry.putManifest(reference, index.bytes, index.mediaType, signal);
  if (!pushed.ok) return pushed;
  const verified = await verifyIndex(
    run.registry,
    { registry: run.registryAddress, repository, digest: index.digest },
    platforms.map(({ platform }) => platform),
    signal,
  );
  if (!verified.ok) return verified;
  const { mediaType, digest, size } = index;
  const groups = task.tags.map((tag, at): MoveGroup => {
    const archMoves = platforms.flatMap(({ child, archTags, carried }) => {
      const archTag = archTags[at];
      const { descriptor } = child;
      const to = { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size };
      return archTag === undefined || carried ? [] : [{ tag: archTag, to }];
    });
    return { repository, tag, moves: [...archMoves, { tag, to: { mediaType, digest, size } }] };
  });
  return ok({ digest, mediaType, groups, standing: 'is not published' });
}

/** The image that a platform has under the first tag now, marked as carried forward from there. */
export async function carryForward(
  task: PublishTask,
  platform: Platform,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<Child>> {
  const tag = task.tags[0] ?? 'latest';
  const last = await readStaged({ repository: task.repository, platform }, tag, run, signal);
  if (!last.ok) {
    if (mayPass(last.failure)) return last;
    return fail({
      kind: 'verification',
      message: `${formatPlatform(platform)} could not be built, and ${task.repository}:${tag} has no image of it to carry forward`,
      where: `${run.registryAddress}/${task.repository}:${tag}`,
      help: 'mend its build; once it was published, failedPlatform: carry has something to carry',
    });
  }
  const { descriptor, attestations } = last.value.child;
  const annotations = { ...descriptor.annotations, 'dev.splitbuild.carried': `${tag} before run ${run.id}` };
  return ok({ descriptor: { ...descriptor, annotations }, attestations });
}

/** What is published already, and has only to be looked at again. */
export function asPublished({ repository, tags }: PublishTask, platforms: ReadyPlatform[]): Staged {
  const { digest, mediaType } = composeIndex(platforms.map(({ child }) => child));
  const standing = `is published already, as ${tags.map((tag) => `${repository}:${tag}`).join(' and ')} (${digest})`;
  return { digest, mediaType, groups: [], standing };
}

/** Runs every gate on a staged image; the first that says no is the failure. */
export async function passGates(
  task: PublishTask,
  gates: GateConfig[],
  { digest, standing }: Staged,
  platforms: ReadyPlatform[],
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<void>> {
  const facts = {
    SPLITBUILD_IMAGE: task.image,
    SPLITBUILD_REPOSITORY: `${run.registryAddress}/${task.repository}`,
    SPLITBUILD_REFERENCE: `${run.registryAddress}/${task.repository}@${digest}`,
    SPLITBUILD_DIGEST: digest,
    SPLITBUILD_TAGS: task.tags.join(' '),
    SPLITBUILD_PLATFORMS: platforms
      .map(({ platform, child }) => `${formatPlatform(platform)}=${child.descriptor.digest}`)
      .join(' '),
    SPLITBUILD_RUN: run.id,
  };
  const onLine = (line: string): void => run.emit({ type: 'task-output', task: task.id, line, time: run.clock.now() });
  for (const gate of gates) {
    onLine(`$ ${gate.run}`);
    const passed = await run.runGate(gate, facts, onLine, signal);
    if (passed.ok) continue;
    const { failure } = passed;
    if (failure.kind !== 'check') return passed;
    return fail({ ...failure, message: `${failure.message}: the image ${standing}` });
  }
  return ok(undefined);
}

/** Audits what was built now, and tells of builds that are refused; a carried image was audited when it was built. */
export async function auditPlatforms(
  task: PublishTask,
  { standing }: Staged,
  platforms: ReadyPlatform[],
  run: RunContext,
  signal: AbortSignal,
  refused: (build: string) => void,
): Promise<Result<void>> {
  const { mode, allow } = task.audit;
  if (mode === 'off') return ok(undefined);
  const found: string[] = [];
  for (const { build, platform, child, carried } of platforms) {
    if (carried) continue;
    const image = { name: task.image, repository: task.repository, descriptor: child.descriptor, platform };
    const lines = await run.audit(image, allow, signal);
    if (!lines.ok) return lines;
    if (lines.value.length > 0 && mode === 'stop') refused(build);
    found.push(...lines.value);
  }
  if (found.length === 0) return ok(undefined);
  if (mode === 'warn') {
    for (const message of found) run.emit({ type: 'warning', task: task.id, message, time: run.clock.now() });
    return ok(undefined);
  }
  return fail({
    kind: 'check',
    exitCode: 1,
    log: found,
    message: `${task.image} ${standing}: programs of another machine are in its layers`,
    where: `${run.registryAddress}/${task.repository}`,
    help: 'mend what copies or downloads them; `audit: { allow: […] }` names files that may be so, `audit: warn` publishes all the same',
  });
}
