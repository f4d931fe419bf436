// Digests of bytes, as the OCI image-spec writes them.
import { createHash } from 'node:crypto';
import type { Digest } from './oci.ts';

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
