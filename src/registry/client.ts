// The client of OCI registries (distribution-spec 1.1): manifests, blobs, tags. Whatever it gives has been checked against
// the digest it was asked for.
import type { Readable } from 'node:stream';
import { type Clock, systemClock } from '../clock.ts';
import { isAbsent, ok, type Result } from '../failure.ts';
import { type Descriptor, type Digest, digestSchema } from '../image/oci.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import type { Repository, StoredManifest } from '../image/store.ts';
import { isIndex } from '../image/store.ts';
import { type CertificateStore, storedCertificates } from './certs.ts';
import { type CredentialStore, storedCredentials } from './credentials.ts';
import { corrupt, digestOf, manifestDigest } from './digest.ts';
import { downloadBlob } from './download.ts';
import { parseManifest } from './manifest.ts';
import { acceptManifests, blobPath, manifestPath } from './paths.ts';
import { listAllReferrers, referrersTag } from './referrers.ts';
import { listAllTags } from './tags.ts';
import { createTransport, type Exchange, headerOf, type Patience } from './transport.ts';
import { cancel, uploadBlob } from './upload.ts';

export type { Repository } from '../image/store.ts';
/** A manifest as the registry has it. */
export type ReadManifest = StoredManifest;

/** What was put. */
export interface PutManifest extends Descriptor {
  /** The registry's answer named this very digest (Docker-Content-Digest): what it keeps is what it was sent. */
  confirmed?: boolean;
}

/** Failures are of kind `registry`, `verification` (wrong bytes), `system` (the login's files) or `cancelled`. */
export interface RegistryClient {
  /** By digest where the reference has one, else by tag, else `latest`. */
  getManifest(reference: Reference, signal: AbortSignal): Promise<Result<ReadManifest>>;
  /** Undefined where there is none. */
  headManifest(reference: Reference, signal: AbortSignal): Promise<Result<Descriptor | undefined>>;
  /** To the reference's tag, else by digest. */
  putManifest(
    reference: Reference,
    bytes: Uint8Array,
    mediaType: string,
    signal: AbortSignal,
  ): Promise<Result<PutManifest>>;
  /** With a digest, the manifest and all its tags go; with a tag alone, only the tag, where the registry can do that. */
  deleteManifest(reference: Reference, signal: AbortSignal): Promise<Result<void>>;
  hasBlob(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Result<boolean>>;
  /** A small blob (8 MiB at most), whole. */
  readBlob(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Result<Uint8Array>>;
  /**
   * A blob of any size. The stream checks size and digest as it goes and, after a broken connection, takes up where it
   * was; where it can't, it ends with a StreamFailure (`streamFailure` in image/store.ts reads it).
   */
  getBlob(
    repository: Repository,
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    signal: AbortSignal,
  ): Promise<Result<Readable>>;
  /** `open` gives the blob's bytes from an offset on; it is called again to go on after a broken connection. */
  putBlob(
    repository: Repository,
    blob: Pick<Descriptor, 'digest' | 'size'>,
    open: (offset: number) => Readable,
    signal: AbortSignal,
  ): Promise<Result<void>>;
  /** Takes a blob over from another repository of the same registry; false where the registry didn't. */
  mountBlob(to: Repository, digest: Digest, fromRepository: string, signal: AbortSignal): Promise<Result<boolean>>;
  listTags(repository: Repository, signal: AbortSignal): Promise<Result<string[]>>;
  /** What has this manifest for its subject, by the referrers API or the fallback tag; empty also where there is no such manifest. */
  listReferrers(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Result<Descriptor[]>>;
}

export interface RegistryClientOptions {
  /** Docker's and podman's stored logins when not given. */
  credentials?: CredentialStore;
  plainHttp?: (host: string) => boolean;
  /** PEM of authorities to trust for a host besides the public ones. */
  ca?: (host: string) => string | undefined;
  /** Those of docker's and podman's certs.d when not given. */
  certificates?: CertificateStore;
  userAgent?: string;
  patience?: Partial<Patience>;
  sleep?: Clock['sleep'];
  now?: Clock['now'];
  random?: Clock['random'];
}

/** Bytes. Registries take manifests of 4 MiB at least (distribution-spec, "Pushing Manifests"). */
const manifestLimit = 8 << 20;
const smallBlobLimit = 8 << 20;

export function createRegistryClient(options: RegistryClientOptions = {}): RegistryClient {
  const transport = createTransport({
    credentials: options.credentials ?? storedCredentials(),
    plainHttp: options.plainHttp ?? (() => false),
    ca: options.ca ?? (() => undefined),
    certificates: options.certificates ?? storedCertificates(),
    userAgent: options.userAgent ?? 'splitbuild',
    ...(options.patience ? { patience: options.patience } : {}),
    clock: {
      now: options.now ?? systemClock.now,
      sleep: options.sleep ?? systemClock.sleep,
      random: options.random ?? systemClock.random,
    },
  });

  const getManifest: RegistryClient['getManifest'] = async (reference, signal) => {
    const answer = await transport.exchange(
      {
        ...on(reference, 'pull'),
        method: 'GET',
        target: manifestPath(reference),
        headers: { accept: acceptManifests },
        expect: [200],
      },
      manifestLimit,
      signal,
    );
    if (!answer.ok) return answer;
    const { bytes } = answer.value;
    const given = headerOf(answer.value, 'docker-content-digest');
    const where = formatReference(reference);
    const digest = manifestDigest(bytes, reference.digest, given, where);
    if (!digest.ok) return digest;
    const parsed = parseManifest(bytes, headerOf(answer.value, 'content-type'), where);
    if (!parsed.ok) return parsed;
    const { mediaType, content } = parsed.value;
    return ok({ descriptor: { mediaType, digest: digest.value, size: bytes.length }, bytes, content });
  };

  return {
    getManifest,
    headManifest: async (reference, signal) => {
      const answer = await transport.exchange(
        {
          ...on(reference, 'pull'),
          method: 'HEAD',
          target: manifestPath(reference),
          headers: { accept: acceptManifests },
          expect: [200, 404, 405, 501],
        },
        manifestLimit,
        signal,
      );
      if (!answer.ok) return answer;
      if (answer.value.status === 404) return ok(undefined);
      const digest = headerOf(answer.value, 'docker-content-digest');
      const length = headerOf(answer.value, 'content-length');
      const mediaType = headerOf(answer.value, 'content-type')?.split(';')[0]?.trim();
      const complete = digestSchema.safeParse(digest).success && /^\d+$/.test(length ?? '') && mediaType !== undefined;
      if (
        answer.value.status === 200 &&
        complete &&
        digest !== undefined &&
        (!reference.digest || reference.digest === digest)
      ) {
        return ok({ mediaType, digest, size: Number(length) });
      }
      const read = await getManifest(reference, signal);
      if (read.ok) return ok(read.value.descriptor);
      return isAbsent(read.failure) ? ok(undefined) : read;
    },
    putManifest: async (reference, bytes, mediaType, signal) => {
      const digest = digestOf(bytes, reference.digest);
      if (reference.digest !== undefined && reference.digest !== digest) {
        return corrupt(formatReference(reference), reference.digest, digest);
      }
      const answer = await transport.exchange(
        {
          ...on(reference, 'pull,push'),
          method: 'PUT',
          target: `/v2/${reference.repository}/manifests/${reference.tag ?? digest}`,
          headers: { 'content-type': mediaType },
          body: bytes,
          idempotent: true,
          expect: [201, 202, 200],
        },
        64 << 10,
        signal,
      );
      if (!answer.ok) return answer;
      const given = headerOf(answer.value, 'docker-content-digest');
      if (given !== undefined && given !== digestOf(bytes, given)) {
        return corrupt(formatReference(reference), digest, given);
      }
      return ok({ mediaType, digest, size: bytes.length, confirmed: given === digest });
    },
    deleteManifest: async (reference, signal) => {
      const answer = await transport.exchange(
        {
          ...on(reference, 'pull,push,delete'),
          method: 'DELETE',
          target: manifestPath(reference),
          expect: [202, 200, 204],
        },
        64 << 10,
        signal,
      );
      return answer.ok ? ok(undefined) : answer;
    },
    hasBlob: async (repository, digest, signal) => {
      const answer = await transport.exchange(
        {
          ...on({ ...repository, digest }, 'pull'),
          method: 'HEAD',
          target: blobPath(repository, digest),
          expect: [200, 404],
        },
        1024,
        signal,
      );
      return answer.ok ? ok(answer.value.status === 200) : answer;
    },
    readBlob: async (repository, digest, signal) => {
      const subject = on({ ...repository, digest }, 'pull');
      const answer = await transport.exchange(
        { ...subject, method: 'GET', target: blobPath(repository, digest), expect: [200] },
        smallBlobLimit,
        signal,
      );
      if (!answer.ok) return answer;
      const got = digestOf(answer.value.bytes, digest);
      return got === digest ? ok(answer.value.bytes) : corrupt(subject.where, digest, got);
    },
    getBlob: (repository, descriptor, signal) =>
      downloadBlob(
        transport,
        {
          ...on({ ...repository, digest: descriptor.digest }, 'pull'),
          target: blobPath(repository, descriptor.digest),
        },
        descriptor,
        signal,
      ),
    putBlob: (repository, blob, open, signal) =>
      uploadBlob(
        transport,
        { ...on({ ...repository, digest: blob.digest }, 'pull,push'), repository: repository.repository },
        blob,
        open,
        signal,
      ),
    mountBlob: async (to, digest, fromRepository, signal) => {
      const subject = on({ ...to, digest }, 'pull,push');
      const scopes = [...subject.scopes, `repository:${fromRepository}:pull`];
      const target = `/v2/${to.repository}/blobs/uploads/?${new URLSearchParams({ mount: digest, from: fromRepository })}`;
      const answer = await transport.exchange(
        { ...subject, scopes, method: 'POST', target, expect: [201, 202] },
        64 << 10,
        signal,
      );
      if (!answer.ok) return answer;
      if (answer.value.status === 201) return ok(true);
      // 202: the registry began an upload instead, which nobody wants.
      const location = headerOf(answer.value, 'location');
      if (location !== undefined && URL.canParse(location, answer.value.url.href)) {
        await cancel(transport, subject, new URL(location, answer.value.url));
      }
      return ok(false);
    },
    listTags: (repository, signal) =>
      listAllTags(transport, on(repository, 'pull'), `/v2/${repository.repository}/tags/list?n=1000`, signal),
    listReferrers: (repository, digest, signal) =>
      listAllReferrers(
        transport,
        on({ ...repository, digest }, 'pull'),
        `/v2/${repository.repository}/referrers/${digest}`,
        async () => {
          const read = await getManifest({ ...repository, tag: referrersTag(digest) }, signal);
          if (!read.ok) return isAbsent(read.failure) ? ok([]) : read;
          return ok(isIndex(read.value) ? read.value.content.manifests : []);
        },
        signal,
      ),
  };
}

function on(
  reference: Repository & { tag?: string; digest?: Digest },
  actions: string,
): Pick<Exchange, 'registry' | 'where' | 'scopes'> {
  return {
    registry: reference.registry,
    where: formatReference(reference),
    scopes: [`repository:${reference.repository}:${actions}`],
  };
}
