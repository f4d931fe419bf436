// A registry in memory for the tests of this folder, in the two ways in which registries delete, and small images in it.
import { fail, ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { type Descriptor, type Digest, mediaTypes } from '../image/oci.ts';
import type { Reference } from '../image/reference.ts';
import type { ImageStore } from '../image/store.ts';
import { parseManifest } from '../registry/manifest.ts';
import { referrersTag } from '../registry/referrers.ts';
import type { Rules } from './candidates.ts';
import type { DeletionRecord, RecordLine } from './record.ts';
import type { PruneStore } from './snapshot.ts';

export const repository = { registry: 'r.example', repository: 'team/app' };
export const now = Date.parse('2026-11-25T06:00:00Z');
export const day = 86_400_000;
/** How old the images are that `image` makes, unless told. */
const longAgo = now - 30 * day;

export interface Model {
  /** False: docker's registry up to 2.8, where only digests can be deleted. */
  tagDeletion: boolean;
  /** False: referrers are found under the fallback tag alone. */
  referrersApi: boolean;
  /** True: a tag that is deleted takes its manifest along, against the spec. */
  greedy?: boolean;
  /** Answers every deletion with this status. */
  refuses?: number;
}

export class MemoryRegistry implements PruneStore, ImageStore {
  readonly tags = new Map<string, Digest>();
  readonly manifests = new Map<Digest, { mediaType: string; bytes: Buffer }>();
  readonly blobs = new Map<Digest, Buffer>();
  /** Deletions as they were asked for, by tag or digest. */
  readonly deletions: string[] = [];
  /** Called when something was deleted, with how many were. */
  onDeleted: (times: number) => void = () => undefined;
  readonly model: Model;

  constructor(model: Model) {
    this.model = model;
  }

  blob(text: string, mediaType: string): Descriptor {
    const bytes = Buffer.from(text);
    this.blobs.set(sha256(bytes), bytes);
    return { mediaType, digest: sha256(bytes), size: bytes.length };
  }

  manifest(content: object, mediaType: string, tag?: string): Descriptor {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...content }));
    const digest = sha256(bytes);
    this.manifests.set(digest, { mediaType, bytes });
    if (tag !== undefined) this.tags.set(tag, digest);
    return { mediaType, digest, size: bytes.length };
  }

  image(name: string, architecture: string, tag?: string, created = longAgo): Descriptor {
    const config = this.blob(
      JSON.stringify({ os: 'linux', architecture, created: new Date(created).toISOString(), name }),
      mediaTypes.ociConfig,
    );
    const layers = [this.blob(`layer ${name} ${architecture}`, 'application/vnd.oci.image.layer.v1.tar')];
    return {
      ...this.manifest({ config, layers }, mediaTypes.ociManifest, tag),
      platform: { os: 'linux', architecture },
    };
  }

  index(children: Descriptor[], tag?: string, annotations: Record<string, string> = {}): Descriptor {
    return this.manifest({ manifests: children, annotations }, mediaTypes.ociIndex, tag);
  }

  /** As BuildKit puts it into an index. */
  attestation(of: Descriptor): Descriptor {
    const config = this.blob('{}', mediaTypes.ociConfig);
    const layers = [this.blob(`in-toto of ${of.digest}`, 'application/vnd.in-toto+json')];
    const { digest, size, mediaType } = this.manifest({ config, layers }, mediaTypes.ociManifest);
    const annotations = {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': of.digest,
    };
    return { mediaType, digest, size, annotations, platform: { os: 'unknown', architecture: 'unknown' } };
  }

  /** A manifest that refers to another; without the API, the list under the fallback tag is kept as clients do. */
  referrer(subject: Descriptor, what: string): Descriptor {
    const { mediaType, digest, size } = subject;
    const config = this.blob('{}', 'application/vnd.oci.empty.v1+json');
    const content = { artifactType: `application/${what}`, config, layers: [], subject: { mediaType, digest, size } };
    const made = this.manifest(content, mediaTypes.ociManifest);
    if (!this.model.referrersApi) {
      const tag = referrersTag(digest);
      const before = this.tags.get(tag);
      const listed = before === undefined ? [] : this.childrenOf(before);
      this.index([...listed, made], tag);
    }
    return made;
  }

  /** As cosign keeps it. */
  signature(of: Digest): string {
    const config = this.blob('{}', mediaTypes.ociConfig);
    const layers = [this.blob(`signed ${of}`, 'application/vnd.dev.cosign.simplesigning.v1+json')];
    const tag = `${of.replace(':', '-')}.sig`;
    this.manifest({ config, layers }, mediaTypes.ociManifest, tag);
    return tag;
  }

  childrenOf(digest: Digest): Descriptor[] {
    const there = this.manifests.get(digest);
    const parsed = there && parseManifest(there.bytes, there.mediaType, '');
    return parsed?.ok ? (parsed.value.index?.manifests ?? []) : [];
  }

  /** Whether all that an index lists is there, which registries ask for before they take it. */
  isWhole(digest: Digest): boolean {
    return this.manifests.has(digest) && this.childrenOf(digest).every((child) => this.isWhole(child.digest));
  }

  getManifest: PruneStore['getManifest'] = async (reference) => {
    const digest = this.find(reference);
    const there = digest === undefined ? undefined : this.manifests.get(digest);
    if (digest === undefined || !there) return refuse(404);
    const parsed = parseManifest(there.bytes, there.mediaType, digest);
    if (!parsed.ok) return parsed;
    const { mediaType, content } = parsed.value;
    return ok({ descriptor: { mediaType, digest, size: there.bytes.length }, bytes: there.bytes, content });
  };

  headManifest: PruneStore['headManifest'] = async (reference, signal) => {
    const read = await this.getManifest(reference, signal);
    return ok(read.ok ? read.value.descriptor : undefined);
  };

  putManifest: PruneStore['putManifest'] = async (reference, bytes, mediaType) => {
    const digest = sha256(bytes);
    this.manifests.set(digest, { mediaType, bytes: Buffer.from(bytes) });
    if (reference.tag !== undefined) this.tags.set(reference.tag, digest);
    return ok({ mediaType, digest, size: bytes.length });
  };

  deleteManifest: PruneStore['deleteManifest'] = async (reference) => {
    const { tag, digest } = reference;
    const { refuses, tagDeletion, greedy } = this.model;
    if (refuses !== undefined) return refuse(refuses);
    if (digest === undefined && !tagDeletion) return refuse(400);
    const target = this.find(reference);
    if (target === undefined) return refuse(404);
    this.deletions.push(digest ?? tag ?? '');
    if (digest === undefined && !greedy) this.tags.delete(tag ?? '');
    else {
      this.manifests.delete(target);
      for (const [name, at] of [...this.tags]) if (at === target) this.tags.delete(name);
    }
    this.onDeleted(this.deletions.length);
    return ok(undefined);
  };

  listTags: PruneStore['listTags'] = async () => {
    return ok([...this.tags.keys()]);
  };

  listReferrers: PruneStore['listReferrers'] = async (_, digest) => {
    if (!this.model.referrersApi) return ok(this.childrenOf(this.tags.get(referrersTag(digest)) ?? ''));
    const found: Descriptor[] = [];
    for (const [own, { mediaType, bytes }] of this.manifests) {
      const parsed = parseManifest(bytes, mediaType, '');
      if (parsed.ok && parsed.value.content.subject?.digest === digest) {
        found.push({ mediaType, digest: own, size: bytes.length });
      }
    }
    return ok(found);
  };

  readBlob: PruneStore['readBlob'] = async (_, digest) => {
    const bytes = this.blobs.get(digest);
    return bytes ? ok(bytes) : refuse(404);
  };

  hasBlob: ImageStore['hasBlob'] = async (_, digest) => ok(this.blobs.has(digest));

  private find({ tag, digest }: Reference): Digest | undefined {
    const found = digest ?? this.tags.get(tag ?? 'latest');
    return found !== undefined && this.manifests.has(found) ? found : undefined;
  }
}

function refuse(status: number): Result<never> {
  return fail({ kind: 'registry', transient: false, status, message: `r.example answered ${status}` });
}

export function rulesOf(more: Partial<Rules> = {}): Rules {
  return { now, olderThan: 7 * day, tags: [], keep: [], keepLast: 0, ofConfig: [], archTagSuffix: '-${arch}', ...more };
}

export class MemoryRecord implements DeletionRecord {
  readonly file = 'record.jsonl';
  readonly lines: RecordLine[] = [];
  append(lines: RecordLine[]): Result<void> {
    this.lines.push(...lines);
    return ok(undefined);
  }
  close(): void {}
}
