// Which images the tags of other people's bases point at, found out once a run and for all platforms, so that a tag that moves meanwhile
// can't mix two of them. The registries are only asked for the digest (HEAD), which Docker Hub doesn't count as a pull.
import { type Clock, within } from '../clock.ts';
import type { Failure } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import { parseReference } from '../image/reference.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { RegistryClient } from '../registry/client.ts';

/** `why` says why there is none: the image is in no registry that can be asked, as one that only an engine has. */
export type External = { digest: Digest } | { digest?: undefined; why: string };

/** Ms for all of them. One that can't be asked is left to the engines, and must not hold up a run for long. */
const patience = 20_000;

/** By reference. Those that have a digest already are not among them. */
export async function resolveExternals(
  tasks: readonly BuildTask[],
  registry: Pick<RegistryClient, 'headManifest'>,
  clock: Clock,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, External>> {
  const wanted = new Set(tasks.flatMap(({ externals = [] }) => externals.map(({ reference }) => reference)));
  const found = new Map<string, External>();
  await Promise.all(
    [...wanted].map(async (text) => {
      const reference = parseReference(text);
      if (!reference.ok || reference.value.digest !== undefined) return;
      const answer = await within(patience, clock, signal, (asking) => registry.headManifest(reference.value, asking));
      if (!answer) found.set(text, { why: `its registry says nothing for ${patience / 1000} s` });
      else if (!answer.ok) found.set(text, { why: reasonOf(answer.failure) });
      else if (!answer.value) found.set(text, { why: 'it is not in its registry' });
      else found.set(text, { digest: answer.value.digest });
    }),
  );
  return found;
}

function reasonOf(failure: Failure): string {
  return 'message' in failure ? failure.message : failure.kind;
}

/** How a Dockerfile names an image by digest; without the tag, as buildah refuses one beside a digest. */
export function pinnedName(reference: string, digest: Digest): string {
  const parsed = parseReference(reference);
  return parsed.ok ? `${parsed.value.registry}/${parsed.value.repository}@${digest}` : reference;
}
