// The record of a publication, kept in the registry beside the tag that it moved: what the tag got, what it had before, by which run.
// It is an OCI index, so it needs no blob, and its children keep the previous image from being collected.
import { createHash } from 'node:crypto';
import { sha256 } from './digest.ts';
import { type Descriptor, type Digest, type Index, mediaTypes } from './oci.ts';

type Target = Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;

/** A tag that gets another image. */
export interface Move {
  repository: string;
  tag: string;
  to: Target;
  /** What it points at until then; undefined where there was no such tag. */
  from?: Target;
}

/** A tag that moves, and the arch tags that go with it. */
export interface TagMoves {
  repository: string;
  tag: string;
  /** In the order in which they are made: arch tags, then the tag. */
  moves: Move[];
}

export interface Publication extends TagMoves {
  run: string;
  /** When that run looked at the tags and planned, ms since the epoch. */
  planned: number;
}

export const recordType = 'application/vnd.splitbuild.publication.v1+json';
const annotation = {
  run: 'dev.splitbuild.run',
  planned: 'dev.splitbuild.planned',
  tag: 'dev.splitbuild.tag',
  role: 'dev.splitbuild.role',
} as const;

/** Where the record of a tag lies: beside it, under a tag of its own (128 characters at most, distribution-spec "Pulling manifests"). */
export function recordTag(tag: string): string {
  const name = `splitbuild-${tag}`;
  return name.length <= 128 ? name : `splitbuild-${createHash('sha256').update(tag).digest('hex')}`;
}

export function composeRecord({ run, planned, moves }: Omit<Publication, 'repository' | 'tag'>): {
  bytes: Uint8Array;
  mediaType: string;
  digest: Digest;
} {
  const child = (target: Target, tag: string, role: 'to' | 'from'): Descriptor => ({
    mediaType: target.mediaType,
    digest: target.digest,
    size: target.size,
    annotations: { [annotation.tag]: tag, [annotation.role]: role },
  });
  const record: Index = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    artifactType: recordType,
    manifests: moves.flatMap(({ tag, to, from }) => [
      child(to, tag, 'to'),
      ...(from ? [child(from, tag, 'from')] : []),
    ]),
    annotations: { [annotation.run]: run, [annotation.planned]: new Date(planned).toISOString() },
  };
  const bytes = Buffer.from(JSON.stringify(record, undefined, 2));
  return { bytes, mediaType: mediaTypes.ociIndex, digest: sha256(bytes) };
}

/** Undefined where it is no record. */
export function parseRecord(index: Index, repository: string, tag: string): Publication | undefined {
  const run = index.annotations?.[annotation.run];
  const planned = Date.parse(index.annotations?.[annotation.planned] ?? '');
  if (index.artifactType !== recordType || run === undefined || Number.isNaN(planned)) return undefined;
  const targets = new Map<string, { to?: Target; from?: Target }>();
  for (const { mediaType, digest, size, annotations } of index.manifests) {
    const moved = annotations?.[annotation.tag];
    const role = annotations?.[annotation.role];
    if (moved === undefined || (role !== 'to' && role !== 'from')) return undefined;
    targets.set(moved, { ...targets.get(moved), [role]: { mediaType, digest, size } });
  }
  const moves = [...targets].flatMap(([moved, { to, from }]): Move[] =>
    to ? [{ repository, tag: moved, to, ...(from ? { from } : {}) }] : [],
  );
  return { run, planned, repository, tag, moves };
}

/**
 * Whether run `a` came before run `b`. Runs of one CI system that are numbered go by their numbers, whenever their jobs happened to
 * look at the tags; others by the time at which they planned.
 */
export function isOlder(a: Pick<Publication, 'run' | 'planned'>, b: Pick<Publication, 'run' | 'planned'>): boolean {
  if (a.run === b.run) return false;
  const numbered = /^(\D*)(\d{1,15})$/;
  const [, prefix, number] = numbered.exec(a.run) ?? [];
  const [, otherPrefix, otherNumber] = numbered.exec(b.run) ?? [];
  if (number !== undefined && otherNumber !== undefined && prefix === otherPrefix) {
    return Number(number) < Number(otherNumber);
  }
  return a.planned < b.planned;
}
