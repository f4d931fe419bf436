// Which blobs of the layouts on disk are freed, and which never.
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../../image/digest.ts';
import { mediaTypes } from '../../image/oci.ts';
import { createRegistryClient } from '../client.ts';
import { anonymous } from '../credentials.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../embedded.ts';
import { blobOf, imageManifest, indexManifest, noise, opener, value } from '../testing.ts';
import { collect } from './collect.ts';

const signal = AbortSignal.timeout(30_000);
const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
const config = Buffer.from('{"os":"linux","architecture":"arm64"}');
let root = '';
let registry: EmbeddedRegistry;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'collect-'));
  registry = value(await startEmbeddedRegistry({ root }));
});
afterEach(async () => {
  await registry.close();
  await rm(root, { recursive: true, force: true });
});

async function push(repository: string, layer: Buffer, tag: string): Promise<Buffer> {
  const at = { registry: registry.address, repository };
  for (const bytes of [config, layer]) value(await client.putBlob(at, blobOf(bytes), opener(bytes), signal));
  const child = imageManifest(config, [layer]);
  value(await client.putManifest({ ...at, digest: sha256(child) }, child, mediaTypes.ociManifest, signal));
  value(await client.putManifest({ ...at, tag }, indexManifest([child]), mediaTypes.ociIndex, signal));
  return child;
}
const blobs = async (repository: string): Promise<string[]> =>
  (await readdir(join(root, repository, 'blobs/sha256'))).map((hash) => `sha256:${hash}`).sort();

test('what a deleted image alone had is freed, and what others have stays, in every repository', async () => {
  const [kept, gone, nested] = [noise(1000, 'kept'), noise(2000, 'gone'), noise(10, 'nested')];
  const keptChild = await push('team', kept, 'v1');
  const goneChild = await push('team', gone, 'v2');
  const nestedChild = await push('team/app', nested, 'v1');
  const at = { registry: registry.address, repository: 'team' };
  for (const bytes of [indexManifest([goneChild]), goneChild]) {
    value(await client.deleteManifest({ ...at, digest: sha256(bytes) }, signal));
  }
  await writeFile(join(root, 'team/blobs/sha256/.draft-0123'), 'half');
  expect(await collect(root)).toMatchObject({
    ok: false,
    failure: { kind: 'system', message: expect.stringContaining('already serves') },
  });
  await registry.close();
  expect(value(await collect(root))).toEqual({ blobs: 2, bytes: gone.length + 'half'.length, left: [] });
  expect(await blobs('team')).toEqual([config, kept, keptChild, indexManifest([keptChild])].map(sha256).sort());
  expect(await blobs('team/app')).toHaveLength(4);
  expect(await blobs('team/app')).toContain(sha256(nestedChild));
  registry = value(await startEmbeddedRegistry({ root }));
  expect(
    value(await client.headManifest({ registry: registry.address, repository: 'team', tag: 'v1' }, signal)),
  ).toBeDefined();
});

test('a layout with a manifest that can’t be read keeps all it has', async () => {
  const child = await push('team', noise(1000), 'v1');
  await registry.close();
  await writeFile(join(root, 'team/blobs/sha256', sha256(child).slice(7)), '{');
  await writeFile(join(root, 'team/blobs/sha256', sha256('unneeded').slice(7)), 'unneeded');
  expect(value(await collect(root))).toEqual({ blobs: 0, bytes: 0, left: [join(root, 'team')] });
  expect(await blobs('team')).toHaveLength(5);
});
