// Digests in the algorithm that another digest is in: registries may use sha512 where they were given one.
import { createHash, type Hash } from 'node:crypto';
import { fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';

/** A hash in the algorithm of a digest; sha256 where none is given. */
export function hashFor(digest: Digest | undefined): { algorithm: 'sha256' | 'sha512'; hash: Hash } {
  const algorithm = digest?.startsWith('sha512:') ? 'sha512' : 'sha256';
  return { algorithm, hash: createHash(algorithm) };
}

/** The digest of bytes, in the algorithm of `like`. */
export function digestOf(bytes: Uint8Array, like: Digest | undefined): Digest {
  const { algorithm, hash } = hashFor(like);
  return `${algorithm}:${hash.update(bytes).digest('hex')}`;
}

/**
 * The digest of a manifest's bytes: that of the reference, or else the one that the registry named, or else sha256. Fails where the bytes
 * have another than they were asked for, or than the registry named (Docker-Content-Digest).
 */
export function manifestDigest(
  bytes: Uint8Array,
  asked: Digest | undefined,
  named: Digest | undefined,
  where: string,
): Result<Digest> {
  const wanted = asked ?? named;
  const digest = digestOf(bytes, wanted);
  if (wanted !== undefined && digest !== wanted) return corrupt(where, wanted, digest);
  if (named !== undefined && named !== digest && digestOf(bytes, named) !== named) return corrupt(where, named, digest);
  return ok(digest);
}

export function corrupt(where: string, wanted: Digest, got: Digest): Result<never> {
  return fail({
    kind: 'verification',
    message: `the content has digest ${got}, not ${wanted}`,
    where,
    help: 'the registry, or a proxy before it, gave or took other bytes than it says',
  });
}
