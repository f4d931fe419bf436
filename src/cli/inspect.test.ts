// Looking at images in the embedded registry, which needs no server to be read.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layerTar, pushImage, pushIndex } from '../export/testing.ts';
import { sha256 } from '../image/digest.ts';
import { startEmbeddedRegistry } from '../registry/embedded.ts';
import { value } from '../registry/testing.ts';

let folder: string;
let index: Awaited<ReturnType<typeof pushIndex>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'splitbuild-inspect-'));
  const registry = value(await startEmbeddedRegistry({ root: join(folder, '.splitbuild/registry') }));
  const layers = [{ tar: layerTar('app', 3000), compression: 'gzip' as const }];
  const image = await pushImage(registry.address, 'team/app', 'amd64', layers);
  index = await pushIndex(registry.address, 'team/app', 'v1', [{ architecture: 'amd64', image }]);
  await registry.close();
});

afterAll(() => rm(folder, { recursive: true, force: true }));

async function splitbuild(...words: string[]): Promise<{ code: number | undefined; out: string; err: string }> {
  const main = join(import.meta.dirname, 'main.ts');
  const done = await execa(process.execPath, [main, ...words], { cwd: folder, reject: false });
  return { code: done.exitCode, out: done.stdout, err: done.stderr };
}

test('an image of the embedded registry is shown by the name that it has there', { timeout: 60_000 }, async () => {
  const seen = await splitbuild('inspect', 'team/app:v1', '--json');
  expect([seen.code, seen.err]).toEqual([0, '']);
  expect(JSON.parse(seen.out)).toMatchObject({
    digest: sha256(index.bytes),
    platforms: [{ platform: { os: 'linux', architecture: 'amd64' } }],
  });
  expect(await splitbuild('verify', `team/app@${sha256(index.bytes)}`)).toMatchObject({ code: 0 });
});

test('a tag that the embedded registry has not is looked for nowhere else', { timeout: 60_000 }, async () => {
  const absent = await splitbuild('verify', 'team/app:v2');
  expect(absent.code).toBe(1);
  expect(absent.err).toContain('v2');
});
