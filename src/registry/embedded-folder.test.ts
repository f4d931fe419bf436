// The embedded registry's folder: one writer at a time, and what is left of one that is killed.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from './embedded.ts';
import { blobOf, imageManifest, instantClock, noise, opener, value } from './testing.ts';

const config = Buffer.from('{"os":"linux","architecture":"arm64"}');

const other = join(import.meta.dirname, 'embedded.ts');
let root = '';
let registry: EmbeddedRegistry;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'folder-'));
  registry = value(await startEmbeddedRegistry({ root }));
});
afterEach(async () => {
  await registry.close();
  await rm(root, { recursive: true, force: true });
});

async function pushImage(tag: string): Promise<void> {
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  const signal = AbortSignal.timeout(10_000);
  const at = { registry: registry.address, repository: 'a' };
  value(await client.putBlob(at, blobOf(config), opener(config), signal));
  value(await client.putManifest({ ...at, tag }, imageManifest(config, []), mediaTypes.ociManifest, signal));
}

test('a folder is served by one at a time, and told by whom', async () => {
  const second = await startEmbeddedRegistry({ root });
  expect(second).toMatchObject({
    ok: false,
    failure: { kind: 'system', message: expect.stringContaining(`${process.pid}`) },
  });
  const script = `const { startEmbeddedRegistry } = await import(${JSON.stringify(other)});
      console.log(JSON.stringify(await startEmbeddedRegistry({ root: ${JSON.stringify(root)} })));`;
  const third = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(JSON.parse(third.stdout)).toMatchObject({
    ok: false,
    failure: { kind: 'system', message: `process ${process.pid} already serves this registry folder` },
  });
});

test('a folder can be read while another process writes', async () => {
  await pushImage('v1');
  const reader = value(await startEmbeddedRegistry({ root, readOnly: true }));
  await pushImage('v2');
  const get = (path: string, method = 'GET') => fetch(`http://${reader.address}${path}`, { method });
  expect(await (await get('/v2/a/tags/list')).json()).toEqual({ name: 'a', tags: ['v1', 'v2'] });
  expect((await get('/v2/a/manifests/v1', 'DELETE')).status).toBe(405);
  await reader.close();
});

test('a folder of a process that was killed is taken over, and its uploads are swept', async () => {
  await registry.close();
  const script = `const { startEmbeddedRegistry } = await import(${JSON.stringify(other)});
      const { value } = await startEmbeddedRegistry({ root: ${JSON.stringify(root)} });
      await fetch('http://' + value.address + '/v2/a/blobs/uploads/', { method: 'POST' });
      console.log('up');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((done) => child.stdout.once('data', done));
  child.kill('SIGKILL');
  await new Promise((done) => child.once('exit', done));
  expect(await readdir(join(root, '.uploads'))).toHaveLength(1);
  registry = value(await startEmbeddedRegistry({ root }));
  expect(await readdir(join(root, '.uploads'))).toEqual([]);
});

test('a folder of a process whose pid another one has now is taken over', async () => {
  await registry.close();
  const holder = { pid: process.ppid, host: hostname(), started: '1' };
  await writeFile(join(root, '.lock'), JSON.stringify(holder));
  const stale = process.platform === 'linux';
  const started = await startEmbeddedRegistry({ root });
  expect(started.ok).toBe(stale);
  if (started.ok) registry = started.value;
});

test('of two that start at the same time, one gets the folder', async () => {
  const both = await Promise.all([1, 2].map(() => startEmbeddedRegistry({ root: join(root, 'contested') })));
  expect(both.filter((one) => one.ok)).toHaveLength(1);
  for (const one of both) if (one.ok) await one.value.close();
});

test('killed in the middle of pushes, it keeps all that it acknowledged', async () => {
  await registry.close();
  const script = `const { startEmbeddedRegistry } = await import(${JSON.stringify(other)});
    const { value } = await startEmbeddedRegistry({ root: ${JSON.stringify(root)} });
    console.log(value.address);`;
  const acknowledged = new Map<string, string>();
  for (let round = 0; round < 3; round += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const address = await new Promise<string>((done) => child.stdout.once('data', (line) => done(String(line).trim())));
    const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...instantClock() });
    const cut = AbortSignal.timeout(10_000);
    const push = async (nth: number): Promise<void> => {
      const at = { registry: address, repository: 'a' };
      const layer = noise(50_000, `${round} ${nth}`);
      for (const bytes of [config, layer]) {
        if (!(await client.putBlob(at, blobOf(bytes), opener(bytes), cut)).ok) return;
      }
      const manifest = imageManifest(config, [layer]);
      const tag = `v${nth % 7}`;
      const done = await client.putManifest({ ...at, tag }, manifest, mediaTypes.ociManifest, cut);
      if (done.ok) acknowledged.set(tag, sha256(manifest));
    };
    const pushes = (async () => {
      for (let nth = 0; child.exitCode === null && child.signalCode === null; nth += 1) await push(nth);
    })();
    await new Promise((done) => setTimeout(done, 300));
    child.kill('SIGKILL');
    await pushes;
  }
  registry = value(await startEmbeddedRegistry({ root }));
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  const signal = AbortSignal.timeout(10_000);
  const at = { registry: registry.address, repository: 'a' };
  expect(acknowledged.size).toBeGreaterThan(0);
  for (const [tag, digest] of acknowledged) {
    value(await client.getManifest({ ...at, digest }, signal));
    const { content } = value(await client.getManifest({ ...at, tag }, signal));
    for (const layer of 'layers' in content && Array.isArray(content.layers) ? content.layers : []) {
      await buffer(value(await client.getBlob(at, layer, signal)));
    }
  }
}, 30_000);
