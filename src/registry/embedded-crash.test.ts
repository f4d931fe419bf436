// Whether the embedded registry keeps its word when its process is killed.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { startEmbeddedRegistry } from './embedded.ts';
import { blobOf, imageManifest, instantClock, noise, opener, value } from './testing.ts';

const config = Buffer.from('{"os":"linux","architecture":"arm64"}');

test('killed in the middle of pushes, it keeps all that it acknowledged', async () => {
  const root = await mkdtemp(join(tmpdir(), 'crash-'));
  const script = `const { startEmbeddedRegistry } = await import(${JSON.stringify(join(import.meta.dirname, 'embedded.ts'))});
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
  const registry = value(await startEmbeddedRegistry({ root }));
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
  await registry.close();
  await rm(root, { recursive: true, force: true });
}, 30_000);
