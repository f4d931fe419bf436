// Copies between registries and layouts: whole, not sent twice, and checked on the way. Other programs look at what came of it.
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { layerTar, type PushedImage, plainClient, pushImage, pushIndex } from '../export/testing.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import type { Reference } from '../image/reference.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../registry/embedded.ts';
import { blobOf, hasProgram, noise, value } from '../registry/testing.ts';
import { sourceAnywhere, targetAnywhere } from './anywhere.ts';
import { type CopyOptions, createCopier } from './copier.ts';
import { layoutSource, layoutTarget } from './layout.ts';
import { destinationOf, parsePlace, withTag } from './place.ts';
import type { ImageSource, ImageTarget } from './store.ts';

const signal = AbortSignal.timeout(60_000);
const repository = 'team/app';
/** The registries are of this process: it must not be kept from answering. */
async function skopeo(...args: string[]): Promise<Buffer> {
  const { stdout } = await promisify(execFile)('skopeo', args, { encoding: 'buffer' });
  return stdout;
}

let folder: string;
let from: EmbeddedRegistry;
let to: EmbeddedRegistry;
let image: PushedImage;
let index: Awaited<ReturnType<typeof pushIndex>>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'splitbuild-copy-'));
  from = value(await startEmbeddedRegistry({ root: join(folder, 'from') }));
  to = value(await startEmbeddedRegistry({ root: join(folder, 'to') }));
  const shared = { tar: layerTar('shared', 3_000_000), compression: 'none' as const };
  image = await pushImage(from.address, repository, 'amd64', [
    shared,
    { tar: layerTar('app', 30_000), compression: 'gzip' },
  ]);
  const other = await pushImage(from.address, repository, 'arm64', [shared]);
  index = await pushIndex(from.address, repository, 'v1', [
    { architecture: 'amd64', image },
    { architecture: 'arm64', image: other },
  ]);
});

afterEach(async () => {
  await from.close();
  await to.close();
  await rm(folder, { recursive: true, force: true });
});

function at(registry: EmbeddedRegistry, more: { repository?: string; tag?: string } = {}) {
  return { registry: registry.address, repository, tag: 'v1', ...more };
}

/** One image, with a copier of its own. */
function copyImage(
  source: { store: ImageSource; reference: Reference },
  target: { store: ImageTarget; reference: Reference },
  options: CopyOptions,
  stop: AbortSignal,
) {
  return createCopier(source.store, target.store).copy(source.reference, target.reference, options, stop);
}

/** A target that notes what was done to it. */
function noted(target: ImageTarget = plainClient()): ImageTarget & { calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    ...target,
    putBlob: (repository, blob, ...rest) => {
      calls.push(`put ${repository.repository} ${blob.digest}`);
      return target.putBlob(repository, blob, ...rest);
    },
    mountBlob: (repository, digest, source, ...rest) => {
      calls.push(`mount ${repository.repository} ${digest} from ${source}`);
      return target.mountBlob(repository, digest, source, ...rest);
    },
    hasBlob: (repository, digest, ...rest) => {
      calls.push(`has ${repository.repository} ${digest}`);
      return target.hasBlob(repository, digest, ...rest);
    },
  };
}

test('an index comes with all platforms and attestations, byte by byte', async () => {
  const client = plainClient();
  const done = await copyImage(
    { store: client, reference: at(from) },
    { store: client, reference: at(to) },
    {},
    signal,
  );
  expect(value(done)).toMatchObject({ digest: sha256(index.bytes), moved: true, manifests: 5 });
  const there = value(await client.getManifest(at(to), signal));
  expect(Buffer.from(there.bytes).equals(index.bytes)).toBe(true);
  for (const { digest } of index.attestations) {
    const { content } = value(await client.getManifest({ ...at(to), tag: undefined, digest }, signal));
    for (const layer of 'layers' in content && Array.isArray(content.layers) ? content.layers : []) {
      expect(value(await client.hasBlob(at(to), layer.digest, signal))).toBe(true);
    }
  }
});

test.skipIf(!hasProgram('skopeo'))('what skopeo reads at the other end is the same', async () => {
  const client = plainClient();
  value(await copyImage({ store: client, reference: at(from) }, { store: client, reference: at(to) }, {}, signal));
  const look = (registry: EmbeddedRegistry) =>
    skopeo('inspect', '--raw', '--tls-verify=false', `docker://${registry.address}/${repository}:v1`);
  expect((await look(to)).equals(await look(from))).toBe(true);
  await skopeo(
    ...['copy', '--all', '--quiet', '--src-tls-verify=false', `docker://${to.address}/${repository}:v1`],
    `oci:${join(folder, 'by-skopeo')}:v1`,
  );
});

test('a second copy sends nothing; one to another tag sends a manifest', async () => {
  const client = plainClient();
  const target = noted();
  const copier = createCopier(client, target);
  value(await copier.copy(at(from), at(to), {}, signal));
  target.calls.length = 0;
  expect(value(await copier.copy(at(from), at(to), {}, signal))).toMatchObject({ moved: false, bytes: 0 });
  const other = await createCopier(client, target).copy(at(from), at(to, { tag: 'v2' }), {}, signal);
  expect(value(other)).toMatchObject({ moved: true, manifests: 1, bytes: 0 });
  expect(target.calls).toEqual([]);
});

test('what an image shares with another that was copied is mounted, not sent again', async () => {
  const client = plainClient();
  const target = noted();
  const copier = createCopier(client, target);
  const [first, second] = await Promise.all([
    copier.copy(at(from), at(to), {}, signal),
    copier.copy(at(from), at(to, { repository: 'team/other' }), {}, signal),
  ]);
  value(first);
  value(second);
  const puts = target.calls.filter((call) => call.startsWith('put')).map((call) => call.split(' ')[2]);
  expect(new Set(puts).size).toBe(puts.length);
  expect(value(await client.getManifest(at(to, { repository: 'team/other' }), signal)).descriptor.digest).toBe(
    sha256(index.bytes),
  );
});

test('within a registry every blob is mounted', async () => {
  const client = plainClient();
  const target = noted();
  const done = await copyImage(
    { store: client, reference: at(from) },
    { store: target, reference: at(from, { repository: 'team/copy' }) },
    {},
    signal,
  );
  expect(value(done)).toMatchObject({ bytes: 0, blobs: { sent: 0 } });
  expect(target.calls.some((call) => call.startsWith('put'))).toBe(false);
});

test('a blob that is corrupt at the source ends the copy, and the tag is not there', async () => {
  const layer = image.layers[0]?.descriptor.digest ?? '';
  const file = join(folder, 'from', repository, 'blobs', layer.replace(':', '/'));
  const bytes = await readFile(file);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const client = plainClient();
  const done = await copyImage(
    { store: client, reference: at(from) },
    { store: client, reference: at(to) },
    {},
    signal,
  );
  expect(done).toMatchObject({ ok: false, failure: { kind: 'verification', message: expect.stringContaining(layer) } });
  expect(value(await client.headManifest(at(to), signal))).toBeUndefined();
});

test('an upload that begins anew in the middle is given the rest', async () => {
  const client = plainClient();
  const target: ImageTarget = {
    ...client,
    putBlob: async (place, blob, open, inner) => {
      // As after a broken connection: some bytes have come, and the rest is asked for.
      const half = Math.floor(blob.size / 2);
      const begun = open(0);
      let head = Buffer.alloc(0);
      for await (const chunk of begun) {
        head = Buffer.concat([head, chunk]);
        if (head.length >= half) break;
      }
      const parts: Buffer[] = [head];
      for await (const chunk of open(head.length)) parts.push(chunk);
      const all = Buffer.concat(parts);
      return client.putBlob(
        place,
        blob,
        (offset) => Readable.from([all.subarray(offset)], { objectMode: false }),
        inner,
      );
    },
  };
  const done = await copyImage(
    { store: client, reference: at(from) },
    { store: target, reference: at(to) },
    {},
    signal,
  );
  expect(value(done).blobs.sent).toBeGreaterThan(3);
});

test('what refers to an image comes along where that is asked for', async () => {
  const client = plainClient();
  const text = noise(1000, 'signature');
  const place = { registry: from.address, repository };
  const open = (offset: number): Readable => Readable.from([text.subarray(offset)], { objectMode: false });
  value(await client.putBlob(place, blobOf(text), open, signal));
  const subject = { mediaType: mediaTypes.ociIndex, digest: sha256(index.bytes), size: index.bytes.length };
  const layer = { mediaType: 'application/vnd.example.signature', ...blobOf(text) };
  const signature = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: layer, layers: [layer], subject };
  value(await client.putManifest(place, Buffer.from(JSON.stringify(signature)), mediaTypes.ociManifest, signal));
  for (const referrers of [false, true]) {
    value(
      await copyImage(
        { store: client, reference: at(from) },
        { store: client, reference: at(to) },
        { referrers },
        signal,
      ),
    );
    const found = value(await client.listReferrers(at(to), sha256(index.bytes), signal));
    expect(found.length).toBe(referrers ? 1 : 0);
  }
});

test('one image that can’t be copied does not hurt another that shares its blobs', async () => {
  const client = plainClient();
  const copier = createCopier(client, client);
  const stop = new AbortController();
  const cancelled = copier.copy(at(from), at(to), {}, stop.signal);
  const other = copier.copy(at(from), at(to, { repository: 'team/other' }), {}, signal);
  stop.abort();
  expect(await cancelled).toEqual({ ok: false, failure: { kind: 'cancelled' } });
  value(await other);
});

describe('a layout on disk', () => {
  test.skipIf(!hasProgram('skopeo'))(
    'that was copied to is one that skopeo reads, and holds nothing else',
    async () => {
      const client = plainClient();
      const path = join(folder, 'layout');
      const target = layoutTarget(path);
      value(await copyImage({ store: client, reference: at(from) }, { store: target, reference: at(to) }, {}, signal));
      await target.close();
      expect((await readdir(path)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
      // One image: a tag need not be named.
      const { manifests } = JSON.parse(await readFile(join(path, 'index.json'), 'utf8'));
      expect(manifests.length).toBe(1);
      await skopeo('inspect', '--raw', `oci:${path}`);
      const raw = await skopeo('inspect', '--raw', `oci:${path}:v1`);
      expect(raw.equals(index.bytes)).toBe(true);
      await skopeo('copy', '--all', '--quiet', `oci:${path}:v1`, `oci:${join(folder, 'again')}:v1`);
    },
  );

  test.skipIf(!hasProgram('skopeo'))('that skopeo wrote is copied from', async () => {
    const path = join(folder, 'by-skopeo');
    await skopeo(
      ...['copy', '--all', '--quiet', '--preserve-digests', '--src-tls-verify=false'],
      `docker://${from.address}/${repository}:v1`,
      `oci:${path}:v1`,
    );
    const client = plainClient();
    const reference = value(parsePlace(`oci:${path}:v1`));
    const source = sourceAnywhere(client, join(folder, 'none'));
    const target = targetAnywhere(client);
    const done = await createCopier(source, target).copy(reference, at(to, { tag: 'back' }), {}, signal);
    expect(value(done).digest).toBe(sha256(index.bytes));
    expect(value(await client.headManifest(at(to, { tag: 'back' }), signal))?.digest).toBe(sha256(index.bytes));
  });

  test('with a damaged blob is not read', async () => {
    const client = plainClient();
    const path = join(folder, 'layout');
    const target = layoutTarget(path);
    value(await copyImage({ store: client, reference: at(from) }, { store: target, reference: at(to) }, {}, signal));
    await target.close();
    const layer = image.layers[0]?.descriptor.digest ?? '';
    const file = join(path, 'blobs', layer.replace(':', '/'));
    await writeFile(file, (await readFile(file)).fill(0, 0, 10));
    const reference = value(parsePlace(`oci:${path}:v1`));
    const back = { store: client, reference: at(to) };
    const done = await copyImage({ store: layoutSource(() => path), reference }, back, {}, signal);
    expect(done).toMatchObject({ ok: false, failure: { kind: 'verification' } });
  });

  test('that lacks the tag says which it has', async () => {
    const target = layoutTarget(join(folder, 'layout'));
    const client = plainClient();
    value(await copyImage({ store: client, reference: at(from) }, { store: target, reference: at(to) }, {}, signal));
    await target.close();
    const source = layoutSource(() => join(folder, 'layout'));
    const read = await source.getManifest(at(to, { tag: 'v9' }), signal);
    expect(read).toMatchObject({ ok: false, failure: { message: expect.stringContaining('v9'), help: 'it has: v1' } });
  });
});

test('a place is a reference or a layout; a destination without a tag gets the source’s', () => {
  const layout = value(parsePlace('oci:/tmp/a:b/c:v1'));
  expect(layout).toEqual({ registry: 'oci:/tmp/a:b/c', repository: 'layout', tag: 'v1' });
  expect(withTag(value(parsePlace('oci:/tmp/a')))).toEqual({ registry: 'oci:/tmp/a', repository: 'layout' });
  const redis = value(parsePlace('redis:7'));
  expect(destinationOf(redis, value(parsePlace('r.example/redis')))).toMatchObject({ tag: '7' });
  expect(destinationOf(redis, value(parsePlace('r.example/redis:8')))).toMatchObject({ tag: '8' });
  const pinned = value(parsePlace(`redis@sha256:${'0'.repeat(64)}`));
  expect(destinationOf(pinned, value(parsePlace('r.example/redis'))).tag).toBeUndefined();
});
