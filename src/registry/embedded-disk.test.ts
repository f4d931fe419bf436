// The embedded registry on a disk that fills up: a real one, a small tmpfs, which takes root on Linux to mount.
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Failure } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { smallDisk } from '../testing.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { startEmbeddedRegistry } from './embedded.ts';
import { blobOf, imageManifest, instantClock, noise, opener, value } from './testing.ts';

const { folder: disk, mounted, unmount } = smallDisk('size=2m,nr_inodes=200');
const problem = mounted ? '' : ' (skipped: a tmpfs can’t be mounted here; it takes root on Linux)';
const signal = AbortSignal.timeout(60_000);
const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...instantClock() });
const config = Buffer.from('{"os":"linux","architecture":"arm64"}');
const ballast = join(disk, 'ballast');

afterAll(unmount);

describe.runIf(mounted)(`a disk that is full${problem}`, () => {
  let at = { registry: '', repository: 'a' };
  let failures: Failure[];
  let close: () => Promise<void>;
  const root = join(disk, 'registry');
  beforeEach(async () => {
    failures = [];
    const registry = value(await startEmbeddedRegistry({ root, onFailure: (failure) => failures.push(failure) }));
    at = { ...at, registry: registry.address };
    close = registry.close;
  });
  afterEach(async () => {
    await close();
    await rm(root, { recursive: true });
    await rm(ballast, { force: true });
  });

  const push = (bytes: Buffer) => client.putBlob(at, blobOf(bytes), opener(bytes), signal);
  const isWhole = async (bytes: Buffer): Promise<boolean> =>
    (await buffer(value(await client.getBlob(at, blobOf(bytes), signal)))).equals(bytes);

  /** Pushes until nothing more is taken. */
  async function pushAll(): Promise<{ taken: Buffer[]; refused: Failure | undefined }> {
    const taken: Buffer[] = [];
    for (let nth = 0; nth < 40; nth += 1) {
      const bytes = noise(150_000, `blob ${nth}`);
      const pushed = await push(bytes);
      if (!pushed.ok) return { taken, refused: pushed.failure };
      taken.push(bytes);
    }
    return { taken, refused: undefined };
  }

  test('is told as such, keeps nothing of what it did not take, and all that it took', async () => {
    const { taken, refused } = await pushAll();
    expect(taken.length).toBeGreaterThan(5);
    expect(refused).toMatchObject({
      kind: 'registry',
      status: 507,
      transient: false,
      help: expect.stringContaining('room'),
    });
    expect(failures[0]).toMatchObject({ kind: 'system', message: expect.stringContaining('the disk is full') });
    for (const bytes of taken) expect(await isWhole(bytes)).toBe(true);
    expect(await readdir(join(root, '.uploads'))).toEqual([]);
    for (const name of await readdir(join(root, 'a', 'blobs', 'sha256'))) {
      expect(taken.map((bytes) => sha256(bytes))).toContain(`sha256:${name}`);
    }
  });

  test('takes again when there is room', async () => {
    await pushAll();
    const [name = ''] = await readdir(join(root, 'a', 'blobs', 'sha256'));
    const deleted = await fetch(`http://${at.registry}/v2/a/blobs/sha256:${name}`, { method: 'DELETE' });
    expect(deleted.status).toBe(202);
    const bytes = noise(100_000, 'after');
    value(await push(bytes));
    expect(await isWhole(bytes)).toBe(true);
  });

  test('leaves a tag where it was when it is full at the manifest, and moves it when there is room', async () => {
    value(await push(config));
    const reference = { ...at, tag: 'v1' };
    const first = imageManifest(config, []);
    value(await client.putManifest(reference, first, mediaTypes.ociManifest, signal));
    // Room for the manifest or not, but none for index.json: at each size of what is left, tag and manifest agree.
    for (let left = 0; left < 6; left += 1) {
      await fill(left);
      const next = imageManifest(config, [], { annotations: { nth: 'x'.repeat(3000) + left } });
      const put = await client.putManifest(reference, next, mediaTypes.ociManifest, signal);
      const read = value(await client.getManifest(reference, signal));
      if (put.ok) expect(read.descriptor.digest).toBe(sha256(next));
      else expect(put.failure).toMatchObject({ kind: 'registry', status: 507 });
      await rm(ballast, { force: true });
      const again = imageManifest(config, [], { annotations: { left: String(left) } });
      value(await client.putManifest(reference, again, mediaTypes.ociManifest, signal));
      expect(value(await client.getManifest(reference, signal)).descriptor.digest).toBe(sha256(again));
    }
  });

  test('without a free inode is told in the same way', async () => {
    const names = Array.from({ length: 300 }, (_, nth) => join(disk, `inode-${nth}`));
    const made: string[] = [];
    for (const name of names) {
      try {
        await writeFile(name, '');
        made.push(name);
      } catch {
        break;
      }
    }
    expect(made.length).toBeLessThan(300);
    expect(await push(noise(100, 'inodes'))).toMatchObject({ ok: false, failure: { kind: 'registry', status: 507 } });
    for (const name of made) await rm(name, { force: true });
    value(await push(noise(100, 'inodes')));
  });
});

/** Fills the disk but for so many pages of 4 KiB. */
async function fill(pages: number): Promise<void> {
  await rm(ballast, { force: true });
  let size = 2 << 20;
  for (; size > 0; size -= 4096) {
    try {
      await writeFile(ballast, Buffer.alloc(size));
      break;
    } catch {
      await rm(ballast, { force: true });
    }
  }
  await writeFile(ballast, Buffer.alloc(Math.max(0, size - pages * 4096)));
}
