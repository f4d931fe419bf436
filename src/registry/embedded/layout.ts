// The registry on disk: every repository is an OCI image layout (image-spec, image-layout.md) that other tools can read.
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Descriptor, type Digest, digestSchema, type Index, indexSchema, mediaTypes } from '../../image/oci.ts';
import { parseManifest } from '../manifest.ts';
import { errorCode, makeFolder, syncFolder, writeWhole } from './disk.ts';

const refName = 'org.opencontainers.image.ref.name';
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
/** Components of a name that would clash with a layout's own files, as `team/blobs` would with the blobs of `team`. */
const reserved = new Set(['blobs', 'index.json', 'oci-layout']);

/** distribution-spec, "Pulling manifests": the form of <name>. */
export function isRepositoryName(name: string): boolean {
  return name.length <= 255 && name.split('/').every((part) => component.test(part));
}

export function isTag(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(text);
}

export function isDigest(text: string): boolean {
  return digestSchema.safeParse(text).success;
}

/** Where a repository lies; a reserved component gets a `_`, which no component of a name ends in. */
export function repositoryFolder(root: string, name: string): string {
  return join(root, ...name.split('/').map((part) => (reserved.has(part) ? `${part}_` : part)));
}

export function tagOf(entry: Descriptor): string | undefined {
  return entry.annotations?.[refName];
}

/** What a list of referrers says of a manifest. */
export interface Described {
  subject?: Digest;
  artifactType?: string;
  annotations?: Record<string, string>;
}

/**
 * One repository. `index.json` names every manifest that was pushed: with the tag as its ref.name annotation, once a tag,
 * and without one where no tag points at it, which also keeps its media type.
 */
export interface Repository {
  /** Undefined where there is no such repository. */
  entries(): Promise<readonly Descriptor[] | undefined>;
  blobFile(digest: Digest): string;
  /** Bytes; undefined where it isn't there. */
  blobSize(digest: Digest): Promise<number | undefined>;
  describe(digest: Digest): Promise<Described>;
  /** Makes the folders that a blob is to be put into. */
  prepare(digest: Digest): Promise<void>;
  /** Makes a blob that was renamed or linked into place durable. */
  settle(digest: Digest): Promise<void>;
  /** Writes a small blob. */
  write(digest: Digest, bytes: Uint8Array): Promise<void>;
  remove(digest: Digest): Promise<void>;
  /** Runs alone in the repository; `save` writes index.json. */
  alone<T>(
    work: (entries: readonly Descriptor[], save: (entries: Descriptor[]) => Promise<void>) => Promise<T>,
  ): Promise<T>;
}

/** Below the root: what is on its way in, and of no use to the next process. No repository is called so. */
export const draftsFolder = '.uploads';

/** Opens repositories below `root`; with `fresh`, index.json is read anew each time, for where another process writes. */
export function openLayouts(root: string, fresh: boolean): (name: string) => Repository {
  const open = new Map<string, Repository>();
  return (name) => {
    const known = open.get(name);
    if (known) return known;
    const repository = openRepository(root, name, fresh);
    open.set(name, repository);
    return repository;
  };
}

function openRepository(root: string, name: string, fresh: boolean): Repository {
  const folder = repositoryFolder(root, name);
  const indexFile = join(folder, 'index.json');
  const drafts = join(root, draftsFolder);
  const durable = new Map<string, Promise<void>>();
  const described = new Map<Digest, Described>();
  let cached: readonly Descriptor[] | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  const blobFolder = (digest: Digest): string => join(folder, 'blobs', digest.slice(0, digest.indexOf(':')));
  const blobFile = (digest: Digest): string => join(blobFolder(digest), digest.slice(digest.indexOf(':') + 1));

  const entries = async (): Promise<readonly Descriptor[] | undefined> => {
    if (cached) return cached;
    const read = await readIndex(indexFile);
    if (!fresh) cached ??= read;
    return read;
  };

  const alone: Repository['alone'] = (work) => {
    const turn = queue.then(async () =>
      work((await entries()) ?? [], async (next) => {
        if (!(await entries())) {
          await makeFolder(root, folder, durable);
          await writeWhole(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}', drafts);
        }
        try {
          await writeWhole(indexFile, JSON.stringify(indexOf(next), undefined, 2), drafts);
          cached = next;
        } catch (error) {
          // It may have failed after the rename: the disk says which of the two there is.
          cached = undefined;
          throw error;
        }
      }),
    );
    queue = turn.catch(() => undefined);
    return turn;
  };

  const prepare = async (digest: Digest): Promise<void> => {
    await makeFolder(root, blobFolder(digest), durable);
    if (await entries()) return;
    await alone(async (_, save) => {
      if (!(await entries())) await save([]);
    });
  };

  return {
    entries,
    alone,
    prepare,
    blobFile,
    blobSize: async (digest) => {
      try {
        const found = await stat(blobFile(digest));
        return found.isFile() ? found.size : undefined;
      } catch (error) {
        if (isAbsence(error)) return undefined;
        throw error;
      }
    },
    describe: async (digest) => {
      const known = described.get(digest);
      if (known) return known;
      const bytes = await readFile(blobFile(digest)).catch((error: unknown) => {
        if (isAbsence(error)) return undefined;
        throw error;
      });
      if (!bytes) return {};
      const made = describe(bytes);
      described.set(digest, made);
      return made;
    },
    settle: (digest) => syncFolder(blobFolder(digest)),
    write: async (digest, bytes) => {
      await makeFolder(root, blobFolder(digest), durable);
      await writeWhole(blobFile(digest), bytes, drafts);
    },
    remove: async (digest) => {
      await rm(blobFile(digest), { force: true });
      described.delete(digest);
    },
  };
}

/** Undefined where there is none. */
export async function readIndex(file: string): Promise<readonly Descriptor[] | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
  return indexSchema.parse(JSON.parse(text)).manifests;
}

function indexOf(manifests: Descriptor[]): Index {
  return { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
}

/** The entries after a manifest was pushed, under a tag or by digest alone. */
export function withManifest(entries: readonly Descriptor[], pushed: Descriptor, tags: string[]): Descriptor[] {
  let next = [...entries];
  for (const tag of tags) {
    next = [...withoutTag(next, tag), { ...pushed, annotations: { [refName]: tag } }];
  }
  if (tags.length === 0 && !next.some((entry) => entry.digest === pushed.digest)) next.push(pushed);
  // Once a tag points at it, the entry without one says nothing more.
  const tagged = new Set(next.filter((entry) => tagOf(entry) !== undefined).map((entry) => entry.digest));
  return next.filter((entry) => tagOf(entry) !== undefined || !tagged.has(entry.digest));
}

/** The entries without a tag; the manifest that it pointed at stays and can be had by its digest. */
export function withoutTag(entries: readonly Descriptor[], tag: string): Descriptor[] {
  const old = entries.find((entry) => tagOf(entry) === tag);
  const rest = entries.filter((entry) => entry !== old);
  if (!old || rest.some((entry) => entry.digest === old.digest)) return rest;
  const { annotations: _, ...untagged } = old;
  return [...rest, untagged];
}

/** distribution-spec, "Listing Referrers": an image manifest without artifactType has its config's media type as one. */
export function describe(bytes: Uint8Array): Described {
  const parsed = parseManifest(bytes, undefined, '');
  if (!parsed.ok) return {};
  const { content, manifest } = parsed.value;
  const artifactType = content.artifactType || manifest?.config.mediaType;
  return {
    ...(content.subject ? { subject: content.subject.digest } : {}),
    ...(artifactType ? { artifactType } : {}),
    ...(content.annotations ? { annotations: content.annotations } : {}),
  };
}

function isAbsence(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
