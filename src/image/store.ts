// What reading an image needs of the place where it lies. The registry client is one; so is anything that has manifests and blobs.
import type { Result } from '../failure.ts';
import type { Descriptor, Digest, Index, Manifest } from './oci.ts';
import type { Reference } from './reference.ts';

export type Repository = Pick<Reference, 'registry' | 'repository'>;

export interface StoredManifest {
  descriptor: Descriptor;
  /** Exactly as stored: their digest is the descriptor's. */
  bytes: Uint8Array;
  /** An Index where the descriptor's media type is one (see isIndexType). */
  content: Manifest | Index;
}

export interface ImageStore {
  getManifest(reference: Reference, signal: AbortSignal): Promise<Result<StoredManifest>>;
  hasBlob(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Result<boolean>>;
  /** A small blob (a config) as a whole; its digest is checked. */
  readBlob(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Result<Uint8Array>>;
}

export function isIndex(stored: StoredManifest): stored is StoredManifest & { content: Index } {
  return 'manifests' in stored.content;
}

export function isManifest(stored: StoredManifest): stored is StoredManifest & { content: Manifest } {
  return 'config' in stored.content;
}
