// Copies images between registries and layouts, whole: an index with all its platforms and attestations, byte by byte as it is. Blobs
// stream from one to the other without touching a disk; what the target has is not sent, and what it has elsewhere is mounted.
import { Readable } from 'node:stream';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Descriptor, Digest } from '../image/oci.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { isIndex, isManifest, type StoredManifest } from '../image/store.ts';
import { StreamFailure } from '../registry/refusal.ts';
import { underAny } from '../signals.ts';
import type { ImageSource, ImageTarget } from './store.ts';
import { createTurns } from './turns.ts';

export interface CopyOptions {
  /** What refers to the image by the referrers API (signatures, SBOMs) comes along. */
  referrers?: boolean;
}

/** What one copy did. */
export interface Copied {
  /** Of the image at both ends. */
  digest: Digest;
  mediaType: string;
  /** False where the target had it under this very tag. */
  moved: boolean;
  manifests: number;
  blobs: { sent: number; mounted: number; present: number };
  /** Sent over the network. */
  bytes: number;
}

export interface Copier {
  /** The image that `from` names now, under `to`'s tag, or by its digest where that has none. */
  copy(from: Reference, to: Reference, options: CopyOptions, signal: AbortSignal): Promise<Result<Copied>>;
}

/** Blobs on their way at a time, over all images: more gain nothing once a link is full. */
const blobsAtATime = 8;
/** Bytes: a blob up to this size is read whole, which spares the machinery of streams. */
const small = 1 << 20;
/** Indexes within indexes; no tool makes more than two. */
const maxDepth = 8;

type Blob = Pick<Descriptor, 'digest' | 'size'>;

/** For one image or several: it knows what an image before has brought already. What has one registry's name at both ends is taken to lie in one registry. */
export function createCopier(source: ImageSource, target: ImageTarget): Copier {
  const turns = createTurns(blobsAtATime);
  /** By registry and digest: the first repository of the target that was brought a blob, or found to have it. */
  const first = new Map<string, { repository: string; done: Promise<Result<void>> }>();
  /** By repository and digest: blobs that are there or on their way. */
  const known = new Map<string, Promise<Result<void>>>();

  /** One copy's state: the first failure ends all of it. */
  interface Work {
    from: Reference;
    to: Reference;
    signal: AbortSignal;
    stop: AbortController;
    seen: Copied;
  }

  async function all<T>(
    work: Work,
    items: readonly T[],
    each: (item: T) => Promise<Result<void>>,
  ): Promise<Result<void>> {
    let failure: Failure | undefined;
    await Promise.all(
      items.map(async (item) => {
        const done = await each(item);
        if (done.ok) return;
        // What is cancelled because something else failed says nothing.
        if (failure === undefined || (failure.kind === 'cancelled' && done.failure.kind !== 'cancelled')) {
          failure = done.failure;
        }
        work.stop.abort();
      }),
    );
    return failure === undefined ? ok(undefined) : fail(failure);
  }

  async function sendBlob(work: Work, blob: Blob): Promise<Result<void>> {
    const { from, to, signal, seen } = work;
    const there = await target.hasBlob(to, blob.digest, signal);
    if (!there.ok) return there;
    if (there.value) {
      seen.blobs.present += 1;
      return ok(undefined);
    }
    if (from.registry === to.registry && from.repository !== to.repository) {
      const mounted = await target.mountBlob(to, blob.digest, from.repository, signal);
      if (!mounted.ok) return mounted;
      if (mounted.value) {
        seen.blobs.mounted += 1;
        return ok(undefined);
      }
    }
    const sent = blob.size <= small ? await sendSmall(work, blob) : await sendLarge(work, blob);
    if (!sent.ok) return sent;
    seen.blobs.sent += 1;
    seen.bytes += blob.size;
    return ok(undefined);
  }

  async function sendSmall({ from, to, signal }: Work, blob: Blob): Promise<Result<void>> {
    const bytes = await source.readBlob(from, blob.digest, signal);
    if (!bytes.ok) return bytes;
    const all = Buffer.from(bytes.value.buffer, bytes.value.byteOffset, bytes.value.length);
    if (all.length !== blob.size)
      return fail(wrongSize(formatReference({ ...from, digest: blob.digest }), blob, all.length));
    return target.putBlob(to, blob, (offset) => Readable.from([all.subarray(offset)], { objectMode: false }), signal);
  }

  async function sendLarge({ from, to, signal }: Work, blob: Blob): Promise<Result<void>> {
    const begun = await source.getBlob(from, blob, signal);
    if (!begun.ok) return begun;
    let ready: Readable | undefined = begun.value;
    try {
      const open = (offset: number): Readable => {
        const stream = offset === 0 ? ready : undefined;
        if (stream) ready = undefined;
        return stream ?? Readable.from(again(source, from, blob, offset, signal), { objectMode: false });
      };
      return await target.putBlob(to, blob, open, signal);
    } finally {
      ready?.on('error', () => undefined).destroy();
    }
  }

  async function bringBlob(work: Work, blob: Blob): Promise<Result<void>> {
    const { to, signal, seen } = work;
    const here = `${to.registry}/${to.repository}@${blob.digest}`;
    const anywhere = `${to.registry}@${blob.digest}`;
    for (;;) {
      if (signal.aborted) return fail({ kind: 'cancelled' });
      const under = known.get(here);
      if (under) {
        // Another image's copy may have been cancelled: then it is this one's to do.
        const done = await under;
        if (done.ok) {
          seen.blobs.present += 1;
          return done;
        }
        if (known.get(here) === under) known.delete(here);
        continue;
      }
      const elsewhere = first.get(anywhere);
      const bring = async (): Promise<Result<void>> => {
        if (elsewhere && (await elsewhere.done).ok) {
          const mounted = await target.mountBlob(to, blob.digest, elsewhere.repository, signal);
          if (!mounted.ok) return mounted;
          if (mounted.value) {
            seen.blobs.mounted += 1;
            return ok(undefined);
          }
        }
        return turns.take(() => sendBlob(work, blob), signal);
      };
      const done = bring();
      known.set(here, done);
      if (!elsewhere) first.set(anywhere, { repository: to.repository, done });
      const brought = await done;
      if (!brought.ok) {
        known.delete(here);
        if (first.get(anywhere)?.done === done) first.delete(anywhere);
      }
      return brought;
    }
  }

  /** Everything below a manifest, and then the manifest. */
  async function bring(work: Work, stored: StoredManifest, to: Reference, depth: number): Promise<Result<void>> {
    const { signal, seen } = work;
    const below = isIndex(stored)
      ? await all(work, unique(stored.content.manifests), (entry) => bringChild(work, entry.digest, depth + 1))
      : isManifest(stored)
        ? await all(work, unique([stored.content.config, ...stored.content.layers]), (blob) => bringBlob(work, blob))
        : ok(undefined);
    if (!below.ok) return below;
    const put = await target.putManifest(to, stored.bytes, stored.descriptor.mediaType, signal);
    if (!put.ok) return put;
    seen.manifests += 1;
    return ok(undefined);
  }

  async function bringChild(work: Work, digest: Digest, depth: number): Promise<Result<void>> {
    const { from, signal } = work;
    if (depth > maxDepth) {
      const message = `it has indexes within indexes, more than ${maxDepth} deep`;
      return fail({ kind: 'verification', message, where: formatReference(from) });
    }
    const to = { registry: work.to.registry, repository: work.to.repository, digest };
    const there = await target.headManifest(to, signal);
    if (!there.ok) return there;
    if (there.value) return ok(undefined);
    const stored = await source.getManifest({ registry: from.registry, repository: from.repository, digest }, signal);
    return stored.ok ? bring(work, stored.value, to, depth) : stored;
  }

  async function bringReferrers(work: Work, digest: Digest, depth: number): Promise<Result<void>> {
    const found = await source.listReferrers(work.from, digest, work.signal);
    if (!found.ok) return found;
    return all(work, found.value, async (entry) => {
      const brought = await bringChild(work, entry.digest, depth);
      // A signature may be signed itself.
      return brought.ok ? bringReferrers(work, entry.digest, depth + 1) : brought;
    });
  }

  return {
    copy: async (from, to, options, outer) => {
      const stop = new AbortController();
      return underAny([outer, stop.signal], async (signal) => {
        const copied = await copyImage(from, to, options, signal, stop);
        return !copied.ok && outer.aborted ? fail({ kind: 'cancelled' }) : copied;
      });
    },
  };

  async function copyImage(
    from: Reference,
    to: Reference,
    options: CopyOptions,
    signal: AbortSignal,
    stop: AbortController,
  ): Promise<Result<Copied>> {
    const stored = await source.getManifest(from, signal);
    if (!stored.ok) return stored;
    const { digest, mediaType } = stored.value.descriptor;
    const seen: Copied = {
      digest,
      mediaType,
      moved: true,
      manifests: 0,
      blobs: { sent: 0, mounted: 0, present: 0 },
      bytes: 0,
    };
    const work: Work = { from, to, signal, stop, seen };
    const destination = to.tag === undefined ? { ...to, digest } : to;
    const there = await target.headManifest(destination, signal);
    if (!there.ok) return there;
    if (there.value?.digest === digest) seen.moved = false;
    else {
      const brought = await bring(work, stored.value, destination, 0);
      if (!brought.ok) return brought;
    }
    if (options.referrers) {
      const brought = await bringReferrers(work, digest, 1);
      if (!brought.ok) return brought;
    }
    return ok(seen);
  }
}

/** A blob from an offset on, where an upload goes on after a broken connection: what is checked is the whole, so it is read from its beginning. */
async function* again(
  source: ImageSource,
  from: Reference,
  blob: Blob,
  offset: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const stream = await source.getBlob(from, blob, signal);
  if (!stream.ok) throw new StreamFailure(stream.failure);
  let skip = offset;
  for await (const chunk of stream.value) {
    if (!(chunk instanceof Uint8Array)) continue;
    const rest = chunk.subarray(skip);
    skip -= chunk.length - rest.length;
    if (rest.length > 0) yield rest;
  }
}

function unique(descriptors: readonly Descriptor[]): Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}

function wrongSize(where: string, blob: Blob, got: number): Failure {
  return { kind: 'verification', message: `the blob has ${got} bytes, not ${blob.size}`, where };
}
