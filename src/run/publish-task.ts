// Publishing an image: its platforms joined by digest, verified, and only then its tags moved.
import { fail, ok, type Result } from '../failure.ts';
import { type Child, composeIndex } from '../image/join.ts';
import type { Digest } from '../image/oci.ts';
import { verifyIndex } from '../image/verify.ts';
import type { PublishTask } from '../plan/plan.ts';
import type { RunContext } from './context.ts';

/** An image that is staged and verified, and the moves that make it public. */
export interface Staged {
  digest: Digest;
  /** In the order in which they are made: arch tags, then tags. */
  moves: { repository: string; tag: string; digest: Digest; mediaType: string; bytes: Uint8Array }[];
}

/** Pushes the joined index by digest and verifies it; no tag is touched. */
export async function stageImage(
  task: PublishTask,
  children: Map<string, Child>,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<Staged>> {
  const joined: Child[] = [];
  const moves: Staged['moves'] = [];
  for (const build of task.builds) {
    const child = children.get(build.task);
    if (!child) return fail({ kind: 'verification', message: `nothing was built for '${build.task}'` });
    joined.push(child);
    const manifest = await run.registry.getManifest(
      { registry: run.registryAddress, repository: task.repository, digest: child.descriptor.digest },
      signal,
    );
    if (!manifest.ok) return manifest;
    for (const tag of build.archTags) {
      moves.push({
        repository: task.repository,
        tag,
        digest: child.descriptor.digest,
        mediaType: child.descriptor.mediaType,
        bytes: manifest.value.bytes,
      });
    }
  }
  const index = composeIndex(joined);
  const reference = { registry: run.registryAddress, repository: task.repository, digest: index.digest };
  const pushed = await run.registry.putManifest(reference, index.bytes, index.mediaType, signal);
  if (!pushed.ok) return pushed;
  const verified = await verifyIndex(
    run.registry,
    reference,
    task.builds.map((build) => build.platform),
    signal,
  );
  if (!verified.ok) return verified;
  for (const tag of task.tags) {
    moves.push({
      repository: task.repository,
      tag,
      digest: index.digest,
      mediaType: index.mediaType,
      bytes: index.bytes,
    });
  }
  return ok({ digest: index.digest, moves });
}

/** Moves the tags one after the other, each confirmed by reading it back; what each pointed at before is recorded. */
export async function moveTags(staged: Staged, run: RunContext, signal: AbortSignal): Promise<Result<void>> {
  for (const move of staged.moves) {
    const reference = { registry: run.registryAddress, repository: move.repository, tag: move.tag };
    const before = await run.registry.headManifest(reference, signal);
    if (!before.ok) return before;
    if (before.value?.digest === move.digest) continue;
    const put = await run.registry.putManifest(reference, move.bytes, move.mediaType, signal);
    if (!put.ok) return put;
    const after = await run.registry.headManifest(reference, signal);
    if (!after.ok) return after;
    const name = `${run.registryAddress}/${move.repository}:${move.tag}`;
    if (after.value?.digest !== move.digest) {
      return fail({
        kind: 'verification',
        message: `${name} points at ${after.value?.digest ?? 'nothing'} after it was moved to ${move.digest}`,
        help: 'another run may be publishing the same tag; look at its pipeline, then run again',
      });
    }
    run.emit({
      type: 'tag-moved',
      reference: name,
      digest: move.digest,
      time: run.now(),
      ...(before.value ? { previous: before.value.digest } : {}),
    });
  }
  return ok(undefined);
}
