// A registry client that asks for what a digest names once. Manifests and configs don't change under their digest, and a run comes by the
// same ones when it reads back, joins, verifies and publishes; what tags point at is asked anew each time.
import type { Digest } from '../image/oci.ts';
import { formatReference, type Reference } from '../image/reference.ts';
import type { ReadManifest, RegistryClient, Repository } from './client.ts';
import { parseManifest } from './manifest.ts';

/** Bytes that are kept, the longest unasked-for being dropped first: a family of a thousand images, and little memory. */
const usualLimit = 24 << 20;
/** Bytes of one thing: configs have some kB, and what is larger is no config. */
const largest = 256 << 10;

interface Kept {
  bytes: Uint8Array;
  /** Of a manifest; undefined for a blob. */
  mediaType?: string;
}

/**
 * A blob that was read is there for `hasBlob` as well. What is deleted through this client is forgotten; what others delete meanwhile may
 * still be given, as it was when it was read.
 */
export function rememberedRegistry(client: RegistryClient, limit = usualLimit): RegistryClient {
  const kept = new Map<string, Kept>();
  let size = 0;

  function keep(key: string, what: Kept): void {
    if (what.bytes.length > Math.min(largest, limit) || kept.has(key)) return;
    // A copy: small bodies are views of larger buffers, which would be kept whole.
    kept.set(key, { ...what, bytes: Uint8Array.from(what.bytes) });
    size += what.bytes.length;
    for (const oldest of kept.keys()) {
      if (size <= limit) break;
      forget(oldest);
    }
  }

  function forget(key: string): void {
    size -= kept.get(key)?.bytes.length ?? 0;
    kept.delete(key);
  }

  function find(key: string): Kept | undefined {
    const found = kept.get(key);
    if (!found) return undefined;
    kept.delete(key);
    kept.set(key, found);
    return found;
  }

  return {
    ...client,
    async getManifest(reference, signal) {
      const known = reference.digest === undefined ? undefined : find(keyOf(reference, reference.digest));
      const parsed = known && read(known, reference);
      if (parsed) return { ok: true, value: parsed };
      const answer = await client.getManifest(reference, signal);
      if (!answer.ok) return answer;
      const { descriptor, bytes } = answer.value;
      keep(keyOf(reference, descriptor.digest), { bytes, mediaType: descriptor.mediaType });
      return answer;
    },
    async putManifest(reference, bytes, mediaType, signal) {
      const put = await client.putManifest(reference, bytes, mediaType, signal);
      if (put.ok && put.value.confirmed) keep(keyOf(reference, put.value.digest), { bytes, mediaType });
      return put;
    },
    async deleteManifest(reference, signal) {
      if (reference.digest !== undefined) forget(keyOf(reference, reference.digest));
      return client.deleteManifest(reference, signal);
    },
    async readBlob(repository, digest, signal) {
      const known = find(keyOf(repository, digest));
      if (known) return { ok: true, value: known.bytes };
      const blob = await client.readBlob(repository, digest, signal);
      if (blob.ok) keep(keyOf(repository, digest), { bytes: blob.value });
      return blob;
    },
    async hasBlob(repository, digest, signal) {
      const known = kept.get(keyOf(repository, digest));
      if (known && known.mediaType === undefined) return { ok: true, value: true };
      return client.hasBlob(repository, digest, signal);
    },
  };
}

function keyOf({ registry, repository }: Repository, digest: Digest): string {
  return `${registry}/${repository}@${digest}`;
}

function read({ bytes, mediaType }: Kept, reference: Reference): ReadManifest | undefined {
  if (mediaType === undefined) return undefined;
  const parsed = parseManifest(bytes, mediaType, formatReference(reference));
  if (!parsed.ok) return undefined;
  const digest = reference.digest ?? '';
  return {
    descriptor: { mediaType: parsed.value.mediaType, digest, size: bytes.length },
    bytes,
    content: parsed.value.content,
  };
}
