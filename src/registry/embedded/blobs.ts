// Blobs that are there: HEAD, GET with Range, DELETE (distribution-spec, "Pulling blobs", "Deleting Blobs").
import { type Answer, type Call, refuse } from './answer.ts';
import { isDigest, type Repository } from './layout.ts';

export async function blobRoute(call: Call, repository: Repository): Promise<Answer> {
  const digest = call.reference;
  if (!isDigest(digest)) return refuse(400, 'DIGEST_INVALID', `'${digest}' is not a digest`);
  if (!['GET', 'HEAD', 'DELETE'].includes(call.method))
    return refuse(405, 'UNSUPPORTED', 'a blob can be read or deleted');
  const size = await repository.blobSize(digest);
  if (size === undefined) return refuse(404, 'BLOB_UNKNOWN', `${call.name} has no blob ${digest}`);
  if (call.method === 'DELETE') return deleteBlob(digest, repository);
  const headers = {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
  };
  const file = repository.blobFile(digest);
  const range = call.method === 'GET' ? parseRange(call.headers.range, size) : undefined;
  if (range === undefined) return { status: 200, headers, body: { file, start: 0, end: size } };
  if (range === 'unsatisfiable') {
    return refuse(416, 'RANGE_INVALID', `the blob has ${size} bytes`, { 'content-range': `bytes */${size}` });
  }
  const contentRange = `bytes ${range.start}-${range.end - 1}/${size}`;
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body: { file, ...range } };
}

async function deleteBlob(digest: string, repository: Repository): Promise<Answer> {
  return repository.alone(async (entries) => {
    if (entries.some((entry) => entry.digest === digest)) {
      return refuse(405, 'UNSUPPORTED', `${digest} is a manifest: delete it as one`);
    }
    await repository.remove(digest);
    return { status: 202 };
  });
}

/** One range of bytes (RFC 9110, 14.1.2); several, or another unit, are ignored, as a server may. `end` is exclusive. */
export function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  if (!match) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(Number(last) + 1, size) };
}
