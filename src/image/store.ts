// What reading an image needs of the place where it lies. The registry client is one; so is anything that has manifests and blobs.
import type { Readable } from 'node:stream';
import type { Failure, Result } from '../failure.ts';
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

/** An ImageStore whose blobs can be read as they stream, layers among them. The registry client is one. */
export interface LayerStore extends ImageStore {
  /** The stream checks size and digest; where they or the connection fail, it ends with an error that streamFailure reads. */
  getBlob(
    repository: Repository,
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    signal: AbortSignal,
  ): Promise<Result<Readable>>;
}

/** A stream can only end with an error, so what failed travels in its `failure`; undefined for an error that has none. */
export function streamFailure(error: unknown): Failure | undefined {
  return carriesFailure(error) ? error.failure : undefined;
}

function carriesFailure(error: unknown): error is { failure: Failure } {
  if (!(error instanceof Error) || !('failure' in error)) return false;
  const { failure } = error;
  return typeof failure === 'object' && failure !== null && 'kind' in failure;
}

export function isIndex(stored: StoredManifest): stored is StoredManifest & { content: Index } {
  return 'manifests' in stored.content;
}

export function isManifest(stored: StoredManifest): stored is StoredManifest & { content: Manifest } {
  return 'config' in stored.content;
}
