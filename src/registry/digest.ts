// Digests in the algorithm that another digest is in: registries may use sha512 where they were given one.
import { createHash, type Hash } from 'node:crypto';
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
