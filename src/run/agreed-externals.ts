// Jobs of one run on several machines (`--run-id`) build on the same images of others, though a tag moves between their beginnings: the first
// to know a base's digest leaves word of it beside the image, under the run's name, and all take what is there.
import type { Clock } from '../clock.ts';
import { fail, isAbsent, ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { type Digest, digestSchema, mediaTypes } from '../image/oci.ts';
import { isIndex } from '../image/store.ts';
import type { RegistryClient } from '../registry/client.ts';
import type { External } from './keys-externals.ts';

export interface Agreement {
  /** Its id, as it was given. */
  run: string;
  registry: Pick<RegistryClient, 'getManifest' | 'putManifest'>;
  registryAddress: string;
  /** Something to know that stops nothing. */
  warn(message: string): void;
}

/**
 * Ms from leaving word to reading what is there: no registry writes a tag only if it is absent, so that two jobs which found nothing both write,
 * and the later is what counts. A job reads and writes without anything in between: so long its write does not take.
 */
const settling = 2000;

const noteType = 'application/vnd.splitbuild.base.v1+json';
const annotation = { reference: 'dev.splitbuild.reference', digest: 'dev.splitbuild.digest' } as const;

/** What builds of a repository are based on in this run, by reference. One that nobody could find out stays as it is. */
export async function agreeOn(
  externals: ReadonlyMap<string, External>,
  repository: string,
  agreement: Agreement,
  clock: Clock,
  signal: AbortSignal,
): Promise<Result<ReadonlyMap<string, External>>> {
  const agreed = await Promise.all(
    [...externals].map(async ([reference, own]): Promise<Result<[string, External]>> => {
      const one = await agreeOnOne(reference, own, repository, agreement, clock, signal);
      return one.ok ? ok([reference, one.value]) : one;
    }),
  );
  const failed = agreed.find((one) => !one.ok);
  if (failed && !failed.ok) return failed;
  return ok(new Map(agreed.flatMap((one) => (one.ok ? [one.value] : []))));
}

async function agreeOnOne(
  reference: string,
  own: External,
  repository: string,
  { run, registry, registryAddress, warn }: Agreement,
  clock: Clock,
  signal: AbortSignal,
): Promise<Result<External>> {
  const at = { registry: registryAddress, repository, tag: noteTag(run, reference) };
  const read = async (): Promise<Result<Digest | undefined>> => {
    const found = await registry.getManifest(at, signal);
    if (!found.ok) return isAbsent(found.failure) ? ok(undefined) : found;
    const { annotations = {}, artifactType } = isIndex(found.value) ? found.value.content : {};
    const digest = digestSchema.safeParse(annotations[annotation.digest]);
    if (digest.success && artifactType === noteType && annotations[annotation.reference] === reference)
      return ok(digest.data);
    const message = `${repository}:${at.tag} is not what this run's jobs have for ${reference}`;
    return fail({ kind: 'verification', message, where: registryAddress, help: 'give another --run-id' });
  };
  const before = await read();
  if (!before.ok) return before;
  if (before.value !== undefined) return ok({ digest: before.value });
  if (own.digest === undefined) return ok(own);
  const note = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      artifactType: noteType,
      manifests: [],
      annotations: {
        'org.opencontainers.image.created': new Date(clock.now()).toISOString(),
        [annotation.reference]: reference,
        [annotation.digest]: own.digest,
      },
    }),
  );
  const put = await registry.putManifest(at, note, mediaTypes.ociIndex, signal);
  if (!put.ok) {
    if (put.failure.kind !== 'registry' || put.failure.transient) return put;
    const message = `the registry does not keep ${repository}:${at.tag} (${put.failure.message}): other jobs of this run may build on another ${reference}`;
    warn(message);
    return ok(own);
  }
  await clock.sleep(settling, signal);
  const after = await read();
  return after.ok ? ok({ digest: after.value ?? own.digest }) : after;
}

/** A run's id has 100 characters at most, and a tag 128. */
export function noteTag(run: string, reference: string): string {
  return `${run}-base-${sha256(reference).slice('sha256:'.length, 'sha256:'.length + 12)}`;
}
