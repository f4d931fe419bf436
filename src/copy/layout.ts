// OCI image layouts on disk (image-spec, image-layout.md) as a place to read images from and to write them to, without a server
// between. The embedded registry's repositories are such layouts too.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Descriptor, Digest } from '../image/oci.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import { streamFailure } from '../image/store.ts';
import { digestOf, hashFor } from '../registry/digest.ts';
import { errorCode } from '../registry/embedded/disk.ts';
import { describe, draftsFolder, openLayouts, readIndex, tagOf, withManifest } from '../registry/embedded/layout.ts';
import { parseManifest } from '../registry/manifest.ts';
import { StreamFailure } from '../registry/refusal.ts';
import type { ImageSource, ImageTarget } from './store.ts';

/** Bytes of a manifest or config at most, as of the registry client's. */
const smallLimit = 8 << 20;

/** Reads layouts; `folderOf` says which folder is meant by a repository's name. */
export function layoutSource(folderOf: (repository: string) => string): ImageSource {
  const fileOf = (repository: string, digest: Digest): string => blobFile(folderOf(repository), digest);

  async function readSmall(repository: string, digest: Digest, where: string): Promise<Result<Uint8Array>> {
    const file = fileOf(repository, digest);
    try {
      const { size } = await stat(file);
      if (size > smallLimit) return fail(wrong(`${digest} is larger than ${smallLimit} bytes`, where));
      const bytes = await readFile(file);
      const got = digestOf(bytes, digest);
      return got === digest ? ok(bytes) : fail(wrong(`the file has digest ${got}, not ${digest}`, where));
    } catch (error) {
      return fail(unreadable(error, where, file));
    }
  }

  const entriesOf = async (repository: string, where: string): Promise<Result<readonly Descriptor[]>> => {
    const file = join(folderOf(repository), 'index.json');
    try {
      return ok((await readIndex(file)) ?? []);
    } catch (error) {
      return fail(unreadable(error, where, file));
    }
  };

  return {
    getManifest: async (reference, signal) => {
      if (signal.aborted) return fail({ kind: 'cancelled' });
      const where = formatReference(reference);
      const entries = await entriesOf(reference.repository, where);
      if (!entries.ok) return entries;
      const entry = entryOf(entries.value, reference);
      const digest = reference.digest ?? entry?.digest;
      if (digest === undefined) return fail(absent(reference, entries.value, folderOf(reference.repository)));
      const bytes = await readSmall(reference.repository, digest, where);
      if (!bytes.ok) return bytes;
      const parsed = parseManifest(bytes.value, entry?.mediaType, where);
      if (!parsed.ok) return parsed;
      const { mediaType, content } = parsed.value;
      return ok({ descriptor: { mediaType, digest, size: bytes.value.length }, bytes: bytes.value, content });
    },
    hasBlob: async ({ repository }, digest) => {
      const found = await stat(fileOf(repository, digest)).catch(() => undefined);
      return ok(found?.isFile() === true);
    },
    readBlob: (repository, digest) => readSmall(repository.repository, digest, nameOf(repository, digest)),
    getBlob: async (repository, blob, signal) => {
      const file = fileOf(repository.repository, blob.digest);
      const where = nameOf(repository, blob.digest);
      try {
        const { size } = await stat(file);
        if (size !== blob.size) return fail(wrong(`the file has ${size} bytes, not ${blob.size}`, where));
      } catch (error) {
        return fail(unreadable(error, where, file));
      }
      return ok(Readable.from(checked(file, blob.digest, where, signal), { objectMode: false }));
    },
    listTags: async ({ registry, repository }) => {
      const entries = await entriesOf(repository, `${registry}/${repository}`);
      return entries.ok ? ok(entries.value.flatMap((entry) => tagOf(entry) ?? [])) : entries;
    },
    listReferrers: async (repository, digest) => {
      const entries = await entriesOf(repository.repository, nameOf(repository, digest));
      if (!entries.ok) return entries;
      const found = new Map<Digest, Descriptor>();
      for (const { mediaType, digest: each, size } of entries.value) {
        const bytes = await readSmall(repository.repository, each, nameOf(repository, each));
        if (!bytes.ok) return bytes;
        const { subject, artifactType } = describe(bytes.value);
        if (subject === digest)
          found.set(each, { mediaType, digest: each, size, ...(artifactType ? { artifactType } : {}) });
      }
      return ok([...found.values()]);
    },
  };
}

/**
 * Writes the layout in a folder, which is made where it is absent; a tag is its `org.opencontainers.image.ref.name`. Nothing is named in
 * index.json before it is there whole. One process writes at a time, and closes it in the end.
 */
export function layoutTarget(folder: string): ImageTarget & { close(): Promise<void> } {
  const layout = openLayouts(folder, true)('');
  const drafts = join(folder, draftsFolder);

  async function writing<T>(where: string, work: () => Promise<Result<T>>): Promise<Result<T>> {
    try {
      await mkdir(drafts, { recursive: true });
      return await work();
    } catch (error) {
      const known = streamFailure(error);
      if (known) return fail(known);
      const words = error instanceof Error ? error.message : String(error);
      return fail({ kind: 'system', message: `the layout can't be written: ${words}`, where });
    }
  }

  return {
    headManifest: async (reference) =>
      writing(folder, async () => {
        const digest = reference.digest ?? entryOf((await layout.entries()) ?? [], reference)?.digest;
        if (digest === undefined || (await layout.blobSize(digest)) === undefined) return ok(undefined);
        // What is damaged or half there is written anew.
        const bytes = await readFile(layout.blobFile(digest));
        const parsed = parseManifest(bytes, undefined, folder);
        if (!parsed.ok || digestOf(bytes, digest) !== digest) return ok(undefined);
        return ok({ mediaType: parsed.value.mediaType, digest, size: bytes.length });
      }),
    putManifest: async (reference, bytes, mediaType) =>
      writing(folder, async () => {
        const digest = digestOf(bytes, reference.digest);
        const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
        const parsed = parseManifest(bytes, mediaType, folder);
        if (!parsed.ok) return parsed;
        const below = new Set(parsed.value.index?.manifests.map((entry) => entry.digest));
        await layout.write(digest, bytes);
        await layout.alone(async (entries, save) => {
          // index.json names what stands alone: the images of an index were named only until that was there.
          const others = entries.filter((entry) => tagOf(entry) !== undefined || !below.has(entry.digest));
          await save(withManifest(others, descriptor, reference.tag ? [reference.tag] : []));
        });
        return ok(descriptor);
      }),
    hasBlob: async (_, digest) => ok((await layout.blobSize(digest)) !== undefined),
    putBlob: async (_, { digest, size }, open) =>
      writing(folder, async () => {
        const part = await mkdtemp(join(drafts, 'blob-'));
        try {
          const got = await writeFileOf(join(part, 'blob'), open(0), digest);
          if (got.digest !== digest || got.size !== size) {
            return fail(wrong(`what came has digest ${got.digest} and ${got.size} bytes, not ${digest}`, folder));
          }
          await layout.prepare(digest);
          await rename(join(part, 'blob'), layout.blobFile(digest));
          await layout.settle(digest);
          return ok(undefined);
        } finally {
          await rm(part, { recursive: true, force: true });
        }
      }),
    mountBlob: async () => ok(false),
    // The folder of half-written files is none of the layout's.
    close: () => rm(drafts, { recursive: true, force: true }),
  };
}

async function writeFileOf(file: string, content: Readable, like: Digest): Promise<{ digest: Digest; size: number }> {
  const { algorithm, hash } = hashFor(like);
  let size = 0;
  const handle = await open(file, 'wx');
  try {
    for await (const chunk of content) {
      if (!(chunk instanceof Uint8Array)) continue;
      hash.update(chunk);
      size += chunk.length;
      await handle.writeFile(chunk);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { digest: `${algorithm}:${hash.digest('hex')}`, size };
}

async function* checked(file: string, digest: Digest, where: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const algorithm = digest.startsWith('sha512:') ? 'sha512' : 'sha256';
  const hash = createHash(algorithm);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 512 << 10 })) {
      if (signal.aborted) throw new StreamFailure({ kind: 'cancelled' });
      hash.update(chunk);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof StreamFailure) throw error;
    throw new StreamFailure(unreadable(error, where, file));
  }
  const got = `${algorithm}:${hash.digest('hex')}`;
  if (got !== digest) throw new StreamFailure(wrong(`the file has digest ${got}, not ${digest}`, where));
}

function blobFile(folder: string, digest: Digest): string {
  const colon = digest.indexOf(':');
  return join(folder, 'blobs', digest.slice(0, colon), digest.slice(colon + 1));
}

/** The entry that a digest, a tag, or, where neither is given and there is but one, nothing means. */
function entryOf(entries: readonly Descriptor[], { digest, tag }: Reference): Descriptor | undefined {
  if (digest !== undefined) return entries.find((entry) => entry.digest === digest);
  if (tag !== undefined) return entries.find((entry) => tagOf(entry) === tag);
  return entries.length === 1 ? entries[0] : undefined;
}

function nameOf({ registry, repository }: Pick<Reference, 'registry' | 'repository'>, digest: Digest): string {
  return formatReference({ registry, repository, digest });
}

function absent(reference: Reference, entries: readonly Descriptor[], folder: string): Failure {
  const tags = entries.flatMap((entry) => tagOf(entry) ?? []);
  return {
    kind: 'registry',
    transient: false,
    status: 404,
    message: reference.tag ? `there is no tag '${reference.tag}'` : 'it is not said which image is meant',
    where: folder,
    help: entries.length === 0 ? 'is it an OCI image layout?' : `it has: ${tags.join(', ') || 'no tags'}`,
  };
}

function wrong(message: string, where: string): Failure {
  return { kind: 'verification', message, where };
}

function unreadable(error: unknown, where: string, file: string): Failure {
  if (errorCode(error) === 'ENOENT') {
    return { kind: 'registry', transient: false, status: 404, message: `${file} is not there`, where };
  }
  const words = error instanceof Error ? error.message : String(error);
  return { kind: 'system', message: `the layout can't be read: ${words}`, where };
}
