// Manifests by tag and by digest (distribution-spec, "Pushing Manifests"). What is accepted is whole: all that it names is
// there, so that nobody pulls half an image.
import type { Readable } from 'node:stream';
import type { Descriptor } from '../../image/oci.ts';
import { digestOf } from '../digest.ts';
import { type ParsedManifest, parseManifest } from '../manifest.ts';
import { type Answer, type Call, refuse } from './answer.ts';
import { describe, isDigest, isTag, type Repository, tagOf, withManifest, withoutTag } from './layout.ts';

/** Bytes; the spec asks for 4 MiB at least. */
const limit = 8 << 20;

export async function manifestRoute(call: Call, repository: Repository): Promise<Answer> {
  switch (call.method) {
    case 'GET':
    case 'HEAD':
      return readManifest(call, repository);
    case 'PUT':
      return putManifest(call, repository);
    case 'DELETE':
      return deleteManifest(call, repository);
    default:
      return refuse(405, 'UNSUPPORTED', `${call.method} means nothing to a manifest`);
  }
}

async function readManifest(call: Call, repository: Repository): Promise<Answer> {
  const entry = find(await repository.entries(), call.reference);
  if (!entry) return unknown(call);
  const { digest, mediaType } = entry;
  const size = await repository.blobSize(digest);
  if (size === undefined) return unknown(call);
  return {
    status: 200,
    headers: { 'content-type': mediaType, 'docker-content-digest': digest, etag: `"${digest}"` },
    body: { file: repository.blobFile(digest), start: 0, end: size },
  };
}

async function putManifest(call: Call, repository: Repository): Promise<Answer> {
  const { reference } = call;
  const byDigest = isDigest(reference);
  const tags = byDigest ? call.query.getAll('tag') : [reference];
  const badTag = tags.find((tag) => !isTag(tag));
  if (badTag !== undefined) return refuse(400, 'MANIFEST_INVALID', `'${badTag}' is neither a tag nor a digest`);
  const bytes = await readBody(call.body);
  if (!bytes) return refuse(413, 'SIZE_INVALID', `a manifest may have ${limit} bytes`);
  const digest = digestOf(bytes, byDigest ? reference : undefined);
  if (byDigest && digest !== reference) {
    return refuse(400, 'DIGEST_INVALID', `the content has digest ${digest}, not ${reference}`);
  }
  const contentType = call.headers['content-type']?.split(';')[0]?.trim();
  const parsed = parseManifest(bytes, contentType, call.name);
  if (!parsed.ok) {
    return refuse(400, 'MANIFEST_INVALID', 'message' in parsed.failure ? parsed.failure.message : 'malformed');
  }
  const { mediaType } = parsed.value;
  if (contentType !== undefined && contentType !== mediaType) {
    return refuse(400, 'MANIFEST_INVALID', `Content-Type is ${contentType}, but the manifest says ${mediaType}`);
  }
  // Alone, so that no blob is deleted between the check and the entry.
  return repository.alone(async (entries, save) => {
    const lacking = await findLacking(parsed.value, repository);
    if (lacking) return lacking;
    await repository.write(digest, bytes);
    await save(withManifest(entries, { mediaType, digest, size: bytes.length }, tags));
    const { subject } = describe(bytes);
    return {
      status: 201,
      headers: {
        location: `/v2/${call.name}/manifests/${digest}`,
        'docker-content-digest': digest,
        ...(subject ? { 'oci-subject': subject } : {}),
        ...(byDigest && tags.length > 0 ? { 'oci-tag': tags.join(', ') } : {}),
      },
    };
  });
}

async function findLacking({ index, manifest }: ParsedManifest, repository: Repository): Promise<Answer | undefined> {
  const layers = manifest?.layers.filter(isDistributed) ?? [];
  for (const descriptor of [...(index?.manifests ?? []), ...(manifest ? [manifest.config] : []), ...layers]) {
    const { digest, size } = descriptor;
    const there = await repository.blobSize(digest);
    if (there === undefined) {
      return refuse(404, 'MANIFEST_BLOB_UNKNOWN', `the manifest names ${digest}, which is not in the repository`);
    }
    if (there !== size) {
      return refuse(400, 'MANIFEST_INVALID', `the manifest gives ${digest} ${size} bytes, but it has ${there}`);
    }
  }
  return undefined;
}

/** Layers that may not be copied (Windows' base layers) lie elsewhere; their descriptors carry the addresses. */
function isDistributed(layer: Descriptor): boolean {
  return !('urls' in layer) && !/foreign|nondistributable/.test(layer.mediaType);
}

async function deleteManifest(call: Call, repository: Repository): Promise<Answer> {
  const { reference } = call;
  return repository.alone(async (entries, save) => {
    if (!find(entries, reference)) return unknown(call);
    if (!isDigest(reference)) {
      await save(withoutTag(entries, reference));
      return { status: 202 };
    }
    await save(entries.filter((entry) => entry.digest !== reference));
    await repository.remove(reference);
    return { status: 202 };
  });
}

function find(entries: readonly Descriptor[] | undefined, reference: string): Descriptor | undefined {
  return entries?.find((entry) => (isDigest(reference) ? entry.digest : tagOf(entry)) === reference);
}

function unknown(call: Call): Answer {
  return refuse(404, 'MANIFEST_UNKNOWN', `${call.name} has no manifest ${call.reference}`);
}

async function readBody(body: Readable): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    size += chunk.length;
    // The rest is read and dropped, so that the client gets to read the refusal.
    if (size <= limit) chunks.push(chunk);
  }
  return size <= limit ? Buffer.concat(chunks, size) : undefined;
}
