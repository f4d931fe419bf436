// What a registry can delete, asked with names that nothing can have: the answer to those tells, and nothing is deleted by it.
import { createHash } from 'node:crypto';
import { type Failure, isAbsent, ok, type Result } from '../failure.ts';
import type { Repository } from '../registry/client.ts';
import type { Capability } from './decide.ts';
import type { PruneStore } from './snapshot.ts';

export interface Asked extends Capability {
  /** Why it couldn't be found out; what is said is then a hope. */
  doubt?: Failure;
}

/**
 * 404 means that the registry would delete (distribution-spec, "Deleting Manifests"); 405 that deletion is disabled; of a tag, 400
 * that only digests are taken, as docker's registry up to 2.8 says. `unlikely` makes up the name, and is to be random.
 */
export async function askCapability(
  store: PruneStore,
  repository: Repository,
  unlikely: string,
  signal: AbortSignal,
): Promise<Result<Asked>> {
  const byTag = await store.deleteManifest({ ...repository, tag: `splitbuild-probe-${unlikely}` }, signal);
  const digest = `sha256:${createHash('sha256').update(unlikely).digest('hex')}`;
  const byDigest = await store.deleteManifest({ ...repository, digest }, signal);
  const tags = read(byTag);
  const digests = read(byDigest);
  const doubt = tags.doubt ?? digests.doubt;
  if (doubt?.kind === 'cancelled') return { ok: false, failure: doubt };
  return ok({ tags: tags.can, digests: digests.can, ...(doubt ? { doubt } : {}) });
}

function read(answer: Result<void>): { can: boolean; doubt?: Failure } {
  if (answer.ok) return { can: true };
  const { failure } = answer;
  if (isAbsent(failure)) return { can: true };
  return isUnsupported(failure) ? { can: false } : { can: true, doubt: failure };
}

/** Whether a registry says that it never does this, rather than not for this user or not now. */
export function isUnsupported(failure: Failure): boolean {
  return failure.kind === 'registry' && [400, 405, 501].includes(failure.status ?? 0);
}
