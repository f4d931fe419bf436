// Where a registry has what (distribution-spec, "Endpoints").
import { mediaTypes } from '../image/media-types.ts';
import type { Digest } from '../image/oci.ts';
import type { Reference } from '../image/reference.ts';
import type { Repository } from '../image/store.ts';

/** What is asked for where a manifest is. */
export const acceptManifests = [
  mediaTypes.ociIndex,
  mediaTypes.dockerList,
  mediaTypes.ociManifest,
  mediaTypes.dockerManifest,
].join(', ');

/** By digest where the reference has one, else by tag, else `latest`. */
export function manifestPath(reference: Reference): string {
  return `/v2/${reference.repository}/manifests/${reference.digest ?? reference.tag ?? 'latest'}`;
}

export function blobPath(repository: Repository, digest: Digest): string {
  return `/v2/${repository.repository}/blobs/${digest}`;
}
