// The embedded registry over plain HTTP requests: what the distribution-spec asks of it, and what it leaves on disk.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from './embedded.ts';
import { imageManifest, indexManifest, noise, value } from './testing.ts';

let root = '';
let registry: EmbeddedRegistry;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'embedded-'));
  registry = value(await startEmbeddedRegistry({ root }));
});
afterEach(async () => {
  await registry.close();
  await rm(root, { recursive: true, force: true });
});

const call = (path: string, init?: RequestInit): Promise<Response> => fetch(`http://${registry.address}${path}`, init);
const codeOf = async (response: Response): Promise<unknown> => {
  const body: unknown = await response.json();
  return body;
};
const refusal = (code: string) => ({ errors: [{ code, message: expect.any(String), detail: null }] });
const octets = { 'content-type': 'application/octet-stream' };

async function pushBlob(name: string, bytes: Buffer): Promise<void> {
  const done = await call(`/v2/${name}/blobs/uploads/?digest=${sha256(bytes)}`, {
    method: 'POST',
    headers: octets,
    body: bytes,
  });
  expect(done.status).toBe(201);
}

const config = Buffer.from('{"os":"linux","architecture":"arm64"}');
async function push(
  name: string,
  reference: string,
  manifest: Buffer,
  mediaType: string = mediaTypes.ociManifest,
): Promise<Response> {
  return call(`/v2/${name}/manifests/${reference}`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body: manifest,
  });
}
async function pushImage(name: string, reference?: string, more: object = {}): Promise<Buffer> {
  await pushBlob(name, config);
  const manifest = imageManifest(config, [], more);
  expect((await push(name, reference ?? sha256(manifest), manifest)).status).toBe(201);
  return manifest;
}

describe('an upload', () => {
  const begin = async (): Promise<string> => {
    const begun = await call('/v2/a/blobs/uploads/', { method: 'POST' });
    expect(begun.status).toBe(202);
    return begun.headers.get('location') ?? '';
  };
  const patch = (at: string, range: string, body: Buffer) =>
    call(at, { method: 'PATCH', headers: { ...octets, 'content-range': range }, body });

  test('in chunks tells how far it is, and refuses a chunk out of order', async () => {
    const bytes = noise(3000);
    const at = await begin();
    expect((await patch(at, '0-999', bytes.subarray(0, 1000))).headers.get('range')).toBe('0-999');
    const early = await patch(at, '2000-2999', bytes.subarray(2000));
    expect(early.status).toBe(416);
    expect(early.headers.get('range')).toBe('0-999');
    const status = await call(at);
    expect([status.status, status.headers.get('range')]).toEqual([204, '0-999']);
    await patch(at, '1000-1999', bytes.subarray(1000, 2000));
    const last = { ...octets, 'content-range': '2000-2999' };
    const done = await call(`${at}?digest=${sha256(bytes)}`, {
      method: 'PUT',
      headers: last,
      body: bytes.subarray(2000),
    });
    expect([done.status, done.headers.get('docker-content-digest')]).toEqual([201, sha256(bytes)]);
    expect(await readFile(join(root, 'a/blobs/sha256', sha256(bytes).slice(7)))).toEqual(bytes);
  });

  test('with another digest leaves nothing', async () => {
    const at = await begin();
    const done = await call(`${at}?digest=${sha256('other')}`, { method: 'PUT', headers: octets, body: noise(10) });
    expect(done.status).toBe(400);
    expect(await codeOf(done)).toEqual(refusal('DIGEST_INVALID'));
    expect(await readdir(join(root, '.uploads'))).toEqual([]);
    expect((await call(at)).status).toBe(404);
  });

  test('that is cancelled is gone', async () => {
    const at = await begin();
    expect((await call(at, { method: 'DELETE' })).status).toBe(204);
    expect(await codeOf(await call(at))).toEqual(refusal('BLOB_UPLOAD_UNKNOWN'));
    expect(await readdir(join(root, '.uploads'))).toEqual([]);
  });

  test('of another repository can’t be gone on with', async () => {
    const at = await begin();
    expect((await call(at.replace('/v2/a/', '/v2/b/'))).status).toBe(404);
  });

  test('that is mounted takes no room of its own', async () => {
    const bytes = noise(100);
    await pushBlob('from/here', bytes);
    const mounted = await call(`/v2/to/there/blobs/uploads/?mount=${sha256(bytes)}&from=from/here`, { method: 'POST' });
    expect(mounted.status).toBe(201);
    expect((await stat(join(root, 'to/there/blobs/sha256', sha256(bytes).slice(7)))).nlink).toBe(2);
  });
});

test('a blob can be had in parts', async () => {
  const bytes = noise(1000);
  await pushBlob('a', bytes);
  const get = (range: string) => call(`/v2/a/blobs/${sha256(bytes)}`, { headers: { range } });
  const part = await get('bytes=10-19');
  expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 10-19/1000']);
  expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(10, 20));
  expect(Buffer.from(await (await get('bytes=990-')).arrayBuffer())).toEqual(bytes.subarray(990));
  expect(Buffer.from(await (await get('bytes=-5')).arrayBuffer())).toEqual(bytes.subarray(995));
  const beyond = await get('bytes=1000-');
  expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */1000']);
});

describe('a manifest', () => {
  test('that names what is absent is refused, and the tag stays where it was', async () => {
    const manifest = await pushImage('a', 'v1');
    const lacking = imageManifest(config, [Buffer.from('absent')]);
    expect(await codeOf(await push('a', 'v1', lacking))).toEqual(refusal('MANIFEST_BLOB_UNKNOWN'));
    const index = indexManifest([manifest, lacking]);
    expect(await codeOf(await push('a', 'v1', index, mediaTypes.ociIndex))).toEqual(refusal('MANIFEST_BLOB_UNKNOWN'));
    expect((await call('/v2/a/manifests/v1')).headers.get('docker-content-digest')).toBe(sha256(manifest));
  });

  test.each([
    { name: 'malformed', body: Buffer.from('{'), type: mediaTypes.ociManifest },
    { name: 'of a type that its Content-Type denies', body: imageManifest(config, []), type: mediaTypes.ociIndex },
    { name: 'of no type that is known', body: Buffer.from('{"schemaVersion":1}'), type: 'application/json' },
  ])('$name is refused', async ({ body, type }) => {
    await pushBlob('a', config);
    expect(await codeOf(await push('a', 'v1', body, type))).toEqual(refusal('MANIFEST_INVALID'));
  });

  test('keeps the media type that only its Content-Type said', async () => {
    await pushBlob('a', config);
    const bare = Buffer.from(
      imageManifest(config, [])
        .toString()
        .replace(/"mediaType":"[^"]*manifest[^"]*",/, ''),
    );
    expect(bare.toString()).not.toContain(mediaTypes.ociManifest);
    await push('a', 'v1', bare, mediaTypes.dockerManifest);
    await registry.close();
    registry = value(await startEmbeddedRegistry({ root }));
    expect((await call('/v2/a/manifests/v1')).headers.get('content-type')).toBe(mediaTypes.dockerManifest);
    expect((await call(`/v2/a/manifests/${sha256(bare)}`)).headers.get('content-type')).toBe(mediaTypes.dockerManifest);
  });

  test('whose tag was deleted can still be had by digest', async () => {
    const manifest = await pushImage('a', 'v1');
    expect((await call('/v2/a/manifests/v1', { method: 'DELETE' })).status).toBe(202);
    expect((await call('/v2/a/manifests/v1')).status).toBe(404);
    expect((await call(`/v2/a/manifests/${sha256(manifest)}`)).status).toBe(200);
  });

  test('with a subject is listed among its referrers, by type', async () => {
    const base = await pushImage('a', 'v1');
    const subject = { mediaType: mediaTypes.ociManifest, digest: sha256(base), size: base.length };
    const more = { subject, artifactType: 'application/x.sbom', annotations: { note: 'n' } };
    await pushBlob('a', config);
    const sbom = imageManifest(config, [], more);
    expect((await push('a', sha256(sbom), sbom)).headers.get('oci-subject')).toBe(sha256(base));
    const path = `/v2/a/referrers/${sha256(base)}`;
    const entry = { mediaType: mediaTypes.ociManifest, digest: sha256(sbom), size: sbom.length };
    const listed = { ...entry, artifactType: 'application/x.sbom', annotations: { note: 'n' } };
    const all = await call(path);
    expect(all.headers.get('content-type')).toBe(mediaTypes.ociIndex);
    expect(await all.json()).toMatchObject({ schemaVersion: 2, manifests: [listed] });
    const none = await call(`${path}?artifactType=application/x.other`);
    expect(none.headers.get('oci-filters-applied')).toBe('artifactType');
    expect(await none.json()).toMatchObject({ manifests: [] });
  });

  test('pushed many times at once loses no tag', async () => {
    await pushBlob('a', config);
    const tags = Array.from({ length: 30 }, (_, nth) => `v${nth}`);
    await Promise.all(tags.map((tag) => push('a', tag, imageManifest(config, [], { annotations: { tag } }))));
    expect(await (await call('/v2/a/tags/list')).json()).toEqual({ name: 'a', tags: tags.toSorted() });
    expect(JSON.parse(await readFile(join(root, 'a/index.json'), 'utf8')).manifests).toHaveLength(30);
  });
});

test('tags come in pages that link to each other', async () => {
  for (const tag of ['b', 'a', 'c']) await pushImage('a', tag);
  const first = await call('/v2/a/tags/list?n=2');
  expect(await first.json()).toEqual({ name: 'a', tags: ['a', 'b'] });
  expect(first.headers.get('link')).toBe('</v2/a/tags/list?n=2&last=b>; rel="next"');
  const second = await call('/v2/a/tags/list?n=2&last=b');
  expect(await second.json()).toEqual({ name: 'a', tags: ['c'] });
  expect(second.headers.get('link')).toBeNull();
});

describe('a name', () => {
  test.each(['..%2f..%2fetc', 'a/%2e%2e/b', 'A', '-a', 'a//b', `${'a'.repeat(256)}`])('%s is refused', async (name) => {
    const response = await call(`/v2/${name}/tags/list`);
    expect([400, 404]).toContain(response.status);
    expect(await readdir(root)).toEqual(expect.not.arrayContaining(['etc', 'b']));
  });

  test('may lie below another, and be called as a layout’s own files', async () => {
    const names = ['a', 'a/b', 'a/blobs', 'a/blobs/sha256', 'a/index.json', 'a/manifests', 'blobs', 'blobs/uploads'];
    for (const name of names) await pushImage(name, 'v1', { annotations: { name } });
    for (const name of names) {
      expect(await (await call(`/v2/${name}/manifests/v1`)).json()).toMatchObject({ annotations: { name } });
    }
  });
});

test('a port that is taken is a failure, and the folder is free again', async () => {
  const elsewhere = join(root, 'elsewhere');
  const busy = await startEmbeddedRegistry({ root: elsewhere, port: registry.port });
  expect(busy).toMatchObject({ ok: false, failure: { kind: 'system', where: registry.address } });
  expect((await readdir(elsewhere)).includes('.lock')).toBe(false);
});

test('closing ends a connection in the middle of an upload, and soon', async () => {
  const begun = await call('/v2/a/blobs/uploads/', { method: 'POST' });
  const body = new ReadableStream({ start: (controller) => controller.enqueue(noise(1000)) });
  const upload = call(begun.headers.get('location') ?? '', {
    method: 'PATCH',
    body,
    duplex: 'half',
  }).then(
    () => 'answered',
    () => 'broken',
  );
  await new Promise((done) => setTimeout(done, 50));
  const start = Date.now();
  await registry.close();
  expect(Date.now() - start).toBeLessThan(1000);
  expect(await upload).toBe('broken');
  registry = value(await startEmbeddedRegistry({ root }));
});

test.runIf(spawnSync('skopeo', ['--version']).status === 0)(
  'skopeo reads a repository’s folder as a layout',
  async () => {
    const layer = noise(10);
    await pushBlob('team/app', layer);
    await pushBlob('team/app', config);
    await push('team/app', 'v1', imageManifest(config, [layer]));
    await push('team/app', 'v2', imageManifest(config, [layer, layer]));
    const raw = spawnSync('skopeo', ['inspect', '--raw', `oci:${root}/team/app:v2`], { encoding: 'utf8' });
    expect(sha256(raw.stdout)).toBe(sha256(imageManifest(config, [layer, layer])));
  },
);
