// The embedded registry killed at any moment, under load: what it acknowledged is there and whole when it is started again, and nothing
// that is broken is served or left lying about. What a kill can't show (the order of fsync and rename) is in the code: embedded/disk.ts.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { type Index, type Manifest, manifestSchema, mediaTypes } from '../image/oci.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { startEmbeddedRegistry } from './embedded.ts';
import { blobOf, imageManifest, instantClock, noise, opener, value } from './testing.ts';

const module = join(import.meta.dirname, 'embedded.ts');
const rounds = 12;
const config = Buffer.from('{"os":"linux","architecture":"arm64"}');
const contested = noise(1_500_000, 'contested');
let root = '';
let child: ChildProcess | undefined;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'crash-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(root, { recursive: true, force: true });
});

async function startChild(): Promise<{ address: string; kill(): Promise<void> }> {
  const script = `const { startEmbeddedRegistry } = await import(${JSON.stringify(module)});
    const started = await startEmbeddedRegistry({ root: ${JSON.stringify(root)} });
    console.log(started.ok ? started.value.address : JSON.stringify(started.failure));`;
  const started = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child = started;
  const address = await new Promise<string>((done) => started.stdout.once('data', (line) => done(String(line).trim())));
  return {
    address,
    kill: async () => {
      const ended = new Promise((done) => started.once('exit', done));
      started.kill('SIGKILL');
      await ended;
    },
  };
}

/** What was acknowledged, over all rounds. */
interface Ledger {
  /** How many times. */
  acknowledged: number;
  /** `repository digest`. */
  blobs: Set<string>;
  /** By `repository:tag`: the digest that was acknowledged, and those that were sent after it. */
  tags: Map<string, { sure: string | undefined; maybe: string[] }>;
}

/** Pushes until the registry is gone: images, one blob by many at once, and uploads in chunks. */
async function load(registry: string, round: number, ledger: Ledger, gone: AbortSignal): Promise<void> {
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...instantClock() });
  const acknowledge = (blob: string): void => {
    ledger.acknowledged += 1;
    ledger.blobs.add(blob);
  };
  const push = async (repository: string, bytes: Buffer): Promise<boolean> => {
    const pushed = await client.putBlob({ registry, repository }, blobOf(bytes), opener(bytes), gone);
    if (pushed.ok) acknowledge(`${repository} ${sha256(bytes)}`);
    return pushed.ok;
  };
  const images = async (worker: number): Promise<void> => {
    for (let nth = 0; !gone.aborted; nth += 1) {
      const repository = `team/app-${worker}`;
      const layer = noise(40_000 + nth, `${round} ${worker} ${nth}`);
      if (!(await push(repository, config)) || !(await push(repository, layer))) continue;
      const manifest = imageManifest(config, [layer]);
      const tag = `v${nth % 5}`;
      const entry = ledger.tags.get(`${repository}:${tag}`) ?? { sure: undefined, maybe: [] };
      ledger.tags.set(`${repository}:${tag}`, entry);
      entry.maybe.push(sha256(manifest));
      const put = await client.putManifest({ registry, repository, tag }, manifest, mediaTypes.ociManifest, gone);
      if (put.ok) Object.assign(entry, { sure: sha256(manifest), maybe: [] });
    }
  };
  const sameBlob = async (): Promise<void> => {
    for (let nth = 0; !gone.aborted; nth += 1) {
      const repository = `contested-${round}-${nth}`;
      await Promise.all([push(repository, contested), push(repository, contested), push(repository, contested)]);
    }
  };
  const chunks = async (): Promise<void> => {
    for (let nth = 0; !gone.aborted; nth += 1) {
      const bytes = noise(90_000, `chunks ${round} ${nth}`);
      try {
        const post = await fetch(`http://${registry}/v2/chunks/blobs/uploads/`, { method: 'POST', signal: gone });
        const location = `http://${registry}${post.headers.get('location')}`;
        for (let at = 0; at < bytes.length; at += 30_000) {
          await fetch(location, {
            method: 'PATCH',
            body: new Uint8Array(bytes.subarray(at, at + 30_000)),
            signal: gone,
          });
        }
        const put = await fetch(`${location}?digest=${sha256(bytes)}`, { method: 'PUT', signal: gone });
        if (put.status === 201) acknowledge(`chunks ${sha256(bytes)}`);
      } catch {
        // Killed meanwhile: nothing was acknowledged.
      }
    }
  };
  await Promise.all([images(0), images(1), sameBlob(), chunks()]);
}

/** Every file of the registry's folder, relative to it. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test(`killed ${rounds} times, it has what it acknowledged and nothing that is broken`, async () => {
  const ledger: Ledger = { acknowledged: 0, blobs: new Set(), tags: new Map() };
  for (let round = 0; round < rounds; round += 1) {
    const killed = await startChild();
    const gone = new AbortController();
    const pushing = load(killed.address, round, ledger, gone.signal);
    // At once, or after up to a dozen acknowledgements and a little more.
    const [acknowledgements = 0, more = 0] = noise(2, `moment ${round}`);
    const before = ledger.acknowledged;
    for (let waited = 0; waited < 400 && ledger.acknowledged - before < acknowledgements % 13; waited += 1)
      await delay(10);
    await delay(more % 60);
    await killed.kill();
    gone.abort();
    await pushing;

    const registry = value(await startEmbeddedRegistry({ root }));
    const at = { registry: registry.address };
    const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
    const signal = AbortSignal.timeout(30_000);
    for (const blob of ledger.blobs) {
      const [repository = '', digest = ''] = blob.split(' ');
      expect(value(await client.hasBlob({ ...at, repository }, digest, signal))).toBe(true);
    }
    for (const [name, { sure, maybe }] of ledger.tags) {
      const [repository = '', tag = ''] = name.split(':');
      const there = await client.getManifest({ ...at, repository, tag }, signal);
      const possible = [...(sure === undefined ? [] : [sure]), ...maybe];
      if (sure !== undefined || there.ok) expect(possible).toContain(value(there).descriptor.digest);
      if (!there.ok) continue;
      for (const layer of imageLayers(value(there).content)) {
        await buffer(value(await client.getBlob({ ...at, repository }, layer, signal)));
      }
    }
    await registry.close();
    for (const file of await filesBelow(root)) {
      const digest = /blobs\/sha256\/([^/]*)$/.exec(file)?.[1];
      if (digest === undefined) expect(file).toMatch(/\/(index\.json|oci-layout)$/);
      else expect(`sha256:${digest}`).toBe(sha256(await readFile(file)));
    }
  }
  expect(ledger.blobs.size).toBeGreaterThan(rounds);
  expect([...ledger.tags.values()].filter(({ sure }) => sure !== undefined).length).toBeGreaterThan(0);
}, 120_000);

function imageLayers(content: Manifest | Index): { digest: string; size: number }[] {
  const parsed = manifestSchema.safeParse(content);
  return parsed.success ? parsed.data.layers : [];
}

test('one blob pushed by many at the same time is there once, whole', async () => {
  const registry = value(await startEmbeddedRegistry({ root }));
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  const at = { registry: registry.address, repository: 'a' };
  const signal = AbortSignal.timeout(30_000);
  const pushes = Array.from({ length: 12 }, () => client.putBlob(at, blobOf(contested), opener(contested), signal));
  for (const pushed of await Promise.all(pushes)) value(pushed);
  expect(Buffer.from(value(await client.readBlob(at, sha256(contested), signal))).equals(contested)).toBe(true);
  await registry.close();
  expect((await filesBelow(root)).filter((file) => file.includes('/blobs/'))).toHaveLength(1);
});

test('of two processes that start on one folder, under load, one serves it and the other says so', async () => {
  const first = await startChild();
  const second = await startEmbeddedRegistry({ root });
  expect(second).toMatchObject({
    ok: false,
    failure: { kind: 'system', message: expect.stringContaining('already serves') },
  });
  await first.kill();
  const third = value(await startEmbeddedRegistry({ root }));
  await third.close();
});
