// A registry in memory, for tests and simulations: the same answers as a real one, without HTTP, and faults where they are asked for.
import { Readable } from 'node:stream';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { type Descriptor, type Digest, isIndexType } from '../image/oci.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { isIndex, isManifest } from '../image/store.ts';
import type { PutManifest, ReadManifest, RegistryClient, Repository } from './client.ts';
import { parseManifest } from './manifest.ts';

interface Stored {
  bytes: Uint8Array;
  mediaType: string;
}

interface StoredRepository {
  manifests: Map<Digest, Stored>;
  tags: Map<string, Digest>;
  blobs: Map<Digest, Uint8Array>;
}

export type Operation = 'get' | 'head' | 'put' | 'delete' | 'blob' | 'upload' | 'list';

/** What happens to one request: nothing, a failure before or after it has had its effect, or no answer at all. */
export type Fault = { when: 'before' | 'after'; failure: Failure } | 'silence' | undefined;

export interface SimulatedRegistry {
  /** A client, with the faults that its requests meet; it may wait, to take its time. */
  client(meet?: (operation: Operation, where: string) => Promise<Fault> | Fault): RegistryClient;
  /** Of a repository: tag to digest. */
  tags(repository: string): ReadonlyMap<string, Digest>;
}

/** `keepsTags`: a tag can't be deleted without its manifest, as with docker's registry up to 2.8. */
export function createSimulatedRegistry({ keepsTags = false }: { keepsTags?: boolean } = {}): SimulatedRegistry {
  const repositories = new Map<string, StoredRepository>();
  const repositoryOf = (name: string): StoredRepository => {
    const known = repositories.get(name) ?? { manifests: new Map(), tags: new Map(), blobs: new Map() };
    repositories.set(name, known);
    return known;
  };

  function find({ repository, tag, digest }: Reference): { digest: Digest; stored: Stored } | undefined {
    const known = repositoryOf(repository);
    const wanted = digest ?? known.tags.get(tag ?? 'latest');
    const stored = wanted === undefined ? undefined : known.manifests.get(wanted);
    return wanted !== undefined && stored ? { digest: wanted, stored } : undefined;
  }

  function put(reference: Reference, bytes: Uint8Array, mediaType: string): Result<PutManifest> {
    const where = formatReference(reference);
    const known = repositoryOf(reference.repository);
    const parsed = parseManifest(bytes, mediaType, where);
    if (!parsed.ok) return parsed;
    const digest = sha256(bytes);
    const descriptor = { mediaType, digest, size: bytes.length };
    const stored: ReadManifest = { descriptor, bytes, content: parsed.value.content };
    const missing = isIndex(stored)
      ? stored.content.manifests.find((child) => !known.manifests.has(child.digest))
      : isManifest(stored)
        ? [stored.content.config, ...stored.content.layers].find((blob) => !known.blobs.has(blob.digest))
        : undefined;
    if (missing) {
      const code = isIndexType(mediaType) ? 'MANIFEST_UNKNOWN' : 'MANIFEST_BLOB_UNKNOWN';
      return refuse(400, code, `${missing.digest} is not there`, where);
    }
    known.manifests.set(digest, { bytes: kept(bytes), mediaType });
    if (reference.tag !== undefined) known.tags.set(reference.tag, digest);
    return ok({ ...descriptor, confirmed: true });
  }

  function remove({ repository, tag, digest, ...rest }: Reference): Result<void> {
    const known = repositoryOf(repository);
    const where = formatReference({ repository, ...rest });
    if (digest === undefined && tag !== undefined) {
      if (keepsTags) return refuse(400, 'UNSUPPORTED', 'a tag can not be deleted', where);
      return known.tags.delete(tag) ? ok(undefined) : refuse(404, 'MANIFEST_UNKNOWN', 'no such tag', where);
    }
    if (digest === undefined || !known.manifests.delete(digest)) {
      return refuse(404, 'MANIFEST_UNKNOWN', 'no such manifest', where);
    }
    for (const [name, target] of known.tags) if (target === digest) known.tags.delete(name);
    return ok(undefined);
  }

  function client(
    meet: (operation: Operation, where: string) => Promise<Fault> | Fault = () => undefined,
  ): RegistryClient {
    /** One request through whatever befalls it. */
    async function request<T>(
      operation: Operation,
      reference: Repository & { tag?: string; digest?: Digest },
      signal: AbortSignal,
      effect: () => Result<T>,
    ): Promise<Result<T>> {
      if (signal.aborted) return fail({ kind: 'cancelled' });
      const fault = await meet(operation, formatReference(reference));
      if (signal.aborted) return fail({ kind: 'cancelled' });
      if (fault === 'silence') {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        return fail({ kind: 'cancelled' });
      }
      if (fault?.when === 'before') return fail(fault.failure);
      const result = effect();
      return fault?.when === 'after' ? fail(fault.failure) : result;
    }

    return {
      getManifest: (reference, signal) =>
        request('get', reference, signal, (): Result<ReadManifest> => {
          const found = find(reference);
          const where = formatReference(reference);
          if (!found) return refuse(404, 'MANIFEST_UNKNOWN', 'no such manifest', where);
          const { bytes, mediaType } = found.stored;
          const parsed = parseManifest(bytes, mediaType, where);
          if (!parsed.ok) return parsed;
          return ok({
            descriptor: { mediaType, digest: found.digest, size: bytes.length },
            bytes,
            content: parsed.value.content,
          });
        }),
      headManifest: (reference, signal) =>
        request('head', reference, signal, (): Result<Descriptor | undefined> => {
          const found = find(reference);
          if (!found) return ok(undefined);
          const { mediaType, bytes } = found.stored;
          return ok({ mediaType, digest: found.digest, size: bytes.length });
        }),
      putManifest: (reference, bytes, mediaType, signal) =>
        request('put', reference, signal, () => put(reference, bytes, mediaType)),
      deleteManifest: (reference, signal) => request('delete', reference, signal, () => remove(reference)),
      hasBlob: (repository, digest, signal) =>
        request('blob', { ...repository, digest }, signal, () =>
          ok(repositoryOf(repository.repository).blobs.has(digest)),
        ),
      readBlob: (repository, digest, signal) =>
        request('blob', { ...repository, digest }, signal, () => blobOf(repository, digest)),
      getBlob: (repository, { digest }, signal) =>
        request('blob', { ...repository, digest }, signal, (): Result<Readable> => {
          const blob = blobOf(repository, digest);
          return blob.ok ? ok(Readable.from([blob.value])) : blob;
        }),
      async putBlob(repository, { digest }, open, signal) {
        const chunks: Uint8Array[] = [];
        for await (const chunk of open(0)) if (chunk instanceof Uint8Array) chunks.push(chunk);
        return request('upload', { ...repository, digest }, signal, () => {
          repositoryOf(repository.repository).blobs.set(digest, kept(Buffer.concat(chunks)));
          return ok(undefined);
        });
      },
      mountBlob: (to, digest, from, signal) =>
        request('upload', { ...to, digest }, signal, () => {
          const blob = repositoryOf(from).blobs.get(digest);
          if (blob) repositoryOf(to.repository).blobs.set(digest, blob);
          return ok(blob !== undefined);
        }),
      listTags: (repository, signal) =>
        request('list', repository, signal, () => ok([...repositoryOf(repository.repository).tags.keys()].sort())),
      listReferrers: (repository, digest, signal) =>
        request('list', repository, signal, () => {
          const { manifests } = repositoryOf(repository.repository);
          return ok(
            [...manifests].flatMap(([referrer, { bytes, mediaType }]): Descriptor[] => {
              const parsed = parseManifest(bytes, mediaType, '');
              const of = parsed.ok ? parsed.value.content.subject?.digest : undefined;
              return of === digest ? [{ mediaType, digest: referrer, size: bytes.length }] : [];
            }),
          );
        }),
    };
  }

  function blobOf(repository: Repository, digest: Digest): Result<Uint8Array> {
    const blob = repositoryOf(repository.repository).blobs.get(digest);
    return blob ? ok(blob) : refuse(404, 'BLOB_UNKNOWN', 'no such blob', formatReference({ ...repository, digest }));
  }

  return { client, tags: (repository) => repositoryOf(repository).tags };
}

/** A copy, as small ones are views of larger buffers, which would be kept whole. */
function kept(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

function refuse(status: number, code: string, message: string, where: string): Result<never> {
  return fail({ kind: 'registry', transient: false, status, code, message: `${code}: ${message}`, where });
}
