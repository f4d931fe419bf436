// One suite on two registries: ours and, where Debian's docker-registry is installed, that one. It keeps ours honest.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { startEmbeddedRegistry } from './embedded.ts';
import { blobOf, hasProgram, imageManifest, indexManifest, noise, opener, startDebians, value } from './testing.ts';

const hasDebians = hasProgram('docker-registry');

describe.each([
  { name: 'the embedded registry', start: embedded, here: true },
  { name: 'Debian’s docker-registry', start: startDebians, here: hasDebians },
])('on $name', ({ start, here }) => {
  const signal = AbortSignal.timeout(60_000);
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  let folder = '';
  let registry = '';
  let stop: () => Promise<void> = async () => undefined;

  beforeAll(async () => {
    if (!here) return;
    folder = await mkdtemp(join(tmpdir(), 'registries-'));
    ({ address: registry, stop } = await start(folder));
  }, 30_000);
  afterAll(async () => {
    await stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  const config = Buffer.from('{"os":"linux","architecture":"amd64"}');
  const layer = noise(100_000);
  async function pushImage(repository: string, tag?: string, layers = [layer]): Promise<Buffer> {
    for (const bytes of [config, ...layers]) {
      value(await client.putBlob({ registry, repository }, blobOf(bytes), opener(bytes), signal));
    }
    const manifest = imageManifest(config, layers);
    value(
      await client.putManifest(
        { registry, repository, ...(tag ? { tag } : {}) },
        manifest,
        mediaTypes.ociManifest,
        signal,
      ),
    );
    return manifest;
  }

  test.runIf(here)('a blob that was pushed can be had, whole and as a stream', async () => {
    const repository = 'team/blobs';
    const at = { registry, repository };
    const blob = blobOf(layer);
    expect(value(await client.hasBlob(at, blob.digest, signal))).toBe(false);
    value(await client.putBlob(at, blob, opener(layer), signal));
    expect(value(await client.hasBlob(at, blob.digest, signal))).toBe(true);
    expect(Buffer.from(value(await client.readBlob(at, blob.digest, signal))).equals(layer)).toBe(true);
    expect((await buffer(value(await client.getBlob(at, blob, signal)))).equals(layer)).toBe(true);
  });

  test.runIf(here)('a large blob goes up in a PATCH of its own', async () => {
    const large = noise(9_000_001, 'large');
    const at = { registry, repository: 'large' };
    value(await client.putBlob(at, blobOf(large), opener(large), signal));
    expect((await buffer(value(await client.getBlob(at, blobOf(large), signal)))).equals(large)).toBe(true);
  });

  test.runIf(here)('an empty blob is a blob', async () => {
    const empty = Buffer.alloc(0);
    const at = { registry, repository: 'empty' };
    value(await client.putBlob(at, blobOf(empty), opener(empty), signal));
    expect(value(await client.hasBlob(at, blobOf(empty).digest, signal))).toBe(true);
  });

  test.runIf(here)('a blob whose content has another digest is refused', async () => {
    const sent = await client.putBlob(
      { registry, repository: 'wrong' },
      { digest: sha256('other'), size: layer.length },
      opener(layer),
      signal,
    );
    expect(sent).toMatchObject({ ok: false, failure: { kind: 'registry', transient: false, code: 'DIGEST_INVALID' } });
  });

  test.runIf(here)('a blob is mounted from a repository that has it, and not from one that doesn’t', async () => {
    await pushImage('mount/from');
    const to = { registry, repository: 'mount/to' };
    expect(value(await client.mountBlob(to, blobOf(layer).digest, 'mount/from', signal))).toBe(true);
    expect(value(await client.hasBlob(to, blobOf(layer).digest, signal))).toBe(true);
    expect(value(await client.mountBlob(to, sha256('absent'), 'mount/from', signal))).toBe(false);
  });

  test.runIf(here)('a manifest has the same bytes and digest by tag and by digest', async () => {
    const manifest = await pushImage('team/app', 'v1');
    const digest = sha256(manifest);
    const wanted = { mediaType: mediaTypes.ociManifest, digest, size: manifest.length };
    for (const by of [{ tag: 'v1' }, { digest }]) {
      const reference = { registry, repository: 'team/app', ...by };
      const read = value(await client.getManifest(reference, signal));
      expect(read.descriptor).toEqual(wanted);
      expect(Buffer.from(read.bytes).equals(manifest)).toBe(true);
      expect(value(await client.headManifest(reference, signal))).toEqual(wanted);
    }
  });

  test.runIf(here)('a tag that moves leaves the manifest it pointed at', async () => {
    const first = await pushImage('moving', 'latest');
    const second = await pushImage('moving', 'latest', [noise(10, 'second')]);
    const at = { registry, repository: 'moving' };
    expect(value(await client.headManifest({ ...at, tag: 'latest' }, signal))?.digest).toBe(sha256(second));
    expect(value(await client.headManifest({ ...at, digest: sha256(first) }, signal))?.size).toBe(first.length);
  });

  test.runIf(here)('an index keeps its media type, and one that names an absent child is refused', async () => {
    const child = await pushImage('indexed');
    const at = { registry, repository: 'indexed' };
    const index = indexManifest([child]);
    value(await client.putManifest({ ...at, tag: 'both' }, index, mediaTypes.ociIndex, signal));
    const read = value(await client.getManifest({ ...at, tag: 'both' }, signal));
    expect(read.descriptor.mediaType).toBe(mediaTypes.ociIndex);
    const lacking = indexManifest([child, Buffer.from('{}')]);
    const refused = await client.putManifest({ ...at, tag: 'both' }, lacking, mediaTypes.ociIndex, signal);
    expect(refused).toMatchObject({ ok: false, failure: { kind: 'registry', code: 'MANIFEST_BLOB_UNKNOWN' } });
    expect(value(await client.headManifest({ ...at, tag: 'both' }, signal))?.digest).toBe(sha256(index));
  });

  test.runIf(here)('what isn’t there is undefined to head and a 404 to get', async () => {
    const reference = { registry, repository: 'nowhere', tag: 'never' };
    expect(value(await client.headManifest(reference, signal))).toBeUndefined();
    expect(await client.getManifest(reference, signal)).toMatchObject({
      ok: false,
      failure: { kind: 'registry', status: 404, transient: false, where: `${registry}/nowhere:never` },
    });
  });

  test.runIf(here)('all tags are listed, and none of a repository that isn’t there', async () => {
    await pushImage('tagged', 'b');
    await pushImage('tagged', 'a');
    const tags = value(await client.listTags({ registry, repository: 'tagged' }, signal));
    expect(tags.toSorted()).toEqual(['a', 'b']);
    const none = await client.listTags({ registry, repository: 'never/pushed' }, signal);
    expect(none).toMatchObject({ ok: false, failure: { kind: 'registry', status: 404, code: 'NAME_UNKNOWN' } });
  });

  test.runIf(here)('a manifest that was deleted by digest is gone with its tags', async () => {
    const manifest = await pushImage('deleted', 'v1');
    const at = { registry, repository: 'deleted' };
    value(await client.deleteManifest({ ...at, digest: sha256(manifest) }, signal));
    expect(value(await client.headManifest({ ...at, tag: 'v1' }, signal))).toBeUndefined();
    expect(value(await client.headManifest({ ...at, digest: sha256(manifest) }, signal))).toBeUndefined();
  });
});

async function embedded(folder: string): Promise<{ address: string; stop(): Promise<void> }> {
  const started = value(await startEmbeddedRegistry({ root: folder }));
  return { address: started.address, stop: started.close };
}
