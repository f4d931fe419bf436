// Pruning on docker's own registry, which can delete a manifest only with all its tags, and has no list of referrers: as a process
// on the loopback, through the command line.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '../src/image/digest.ts';
import { type Digest, mediaTypes } from '../src/image/oci.ts';
import { createRegistryClient } from '../src/registry/client.ts';
import { anonymous } from '../src/registry/credentials.ts';
import { blobOf, hasProgram, imageManifest, opener, startDebians, value } from '../src/registry/testing.ts';

const here = hasProgram('docker-registry');
const main = new URL('../src/cli/main.ts', import.meta.url).pathname;
const day = 86_400_000;
const runOf = (daysAgo: number, end: string): string =>
  `${new Date(Date.now() - daysAgo * day).toISOString().replace(/[-:]/g, '').slice(0, 15).replace('T', '-')}-${end}`;

describe.skipIf(!here)(`pruning docker's registry${here ? '' : ' (skipped: docker-registry is not installed)'}`, () => {
  const signal = AbortSignal.timeout(120_000);
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  const repository = 'team/app';
  let folder = '';
  let registry = '';
  let stop: () => Promise<void> = async () => undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'prune-'));
    ({ address: registry, stop } = await startDebians(folder));
  });
  afterAll(async () => {
    await stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  async function pushBlob(bytes: Buffer): Promise<void> {
    value(await client.putBlob({ registry, repository }, blobOf(bytes), opener(bytes), signal));
  }

  /** An image of one architecture, old enough to go. */
  async function pushImage(name: string, architecture: string, ...tags: string[]): Promise<Buffer> {
    const config = Buffer.from(JSON.stringify({ os: 'linux', architecture, created: '2020-01-01T00:00:00Z', name }));
    const layer = Buffer.from(`layer of ${name} ${architecture}`);
    await pushBlob(config);
    await pushBlob(layer);
    const manifest = imageManifest(config, [layer]);
    await pushManifest(manifest, mediaTypes.ociManifest, ...tags);
    return manifest;
  }

  async function pushManifest(bytes: Buffer, mediaType: string, ...tags: string[]): Promise<Digest> {
    for (const to of [{}, ...tags.map((tag) => ({ tag }))]) {
      value(await client.putManifest({ registry, repository, ...to }, bytes, mediaType, signal));
    }
    return sha256(bytes);
  }

  async function pushIndex(children: [string, Buffer][], ...tags: string[]): Promise<Digest> {
    const manifests = children.map(([architecture, child]) => ({
      mediaType: mediaTypes.ociManifest,
      ...blobOf(child),
      platform: { os: 'linux', architecture },
    }));
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
    return pushManifest(bytes, mediaTypes.ociIndex, ...tags);
  }

  function splitbuild(...args: string[]): { code: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { cwd: folder, encoding: 'utf8' });
    return { code: status, stdout, stderr };
  }
  const tags = async (): Promise<string[]> => value(await client.listTags({ registry, repository }, signal)).toSorted();
  const isThere = async (digest: Digest): Promise<boolean> =>
    value(await client.headManifest({ registry, repository, digest }, signal)) !== undefined;

  test('what runs have left goes, and what a tag needs stays, though a tag of the run points at it', async () => {
    const [oldRun, newRun] = [runOf(30, '00000a'), runOf(1, '00000b')];
    const amd = await pushImage('kept', 'amd64', `${oldRun}-amd64`, 'develop-amd64');
    const arm = await pushImage('kept', 'arm64', `${oldRun}-arm64`);
    const develop = await pushIndex(
      [
        ['amd64', amd],
        ['arm64', arm],
      ],
      'develop',
    );
    const before = await pushImage('before', 'amd64');
    await pushIndex([['amd64', before]], 'splitbuild-develop');
    const leftAmd = await pushImage('left', 'amd64', `${runOf(20, '00000c')}-amd64`);
    const left = await pushIndex([['amd64', leftAmd]], runOf(20, '00000c'));
    const fresh = await pushImage('fresh', 'amd64', `${newRun}-amd64`);
    const signed = await pushImage('signature', 'amd64', `${left.replace(':', '-')}.sig`);

    const all = await tags();
    const shown = splitbuild('prune', '--repository', `${registry}/${repository}`);
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toContain('the registry can’t delete a tag without its manifest, which develop needs');
    expect(shown.stdout.trimEnd().split('\n').at(-1)).toMatch(
      /^Would delete 3 tags and 3 manifests .*; 2 can't be deleted there;/,
    );
    expect(await tags()).toEqual(all);

    const done = splitbuild('prune', '--repository', `${registry}/${repository}`, '--yes');
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(await tags()).toEqual(
      [
        'develop',
        'develop-amd64',
        'splitbuild-develop',
        `${oldRun}-amd64`,
        `${oldRun}-arm64`,
        `${newRun}-amd64`,
      ].sort(),
    );
    for (const digest of [develop, ...[amd, arm, before, fresh].map((bytes) => sha256(bytes))]) {
      expect(await isThere(digest)).toBe(true);
    }
    for (const digest of [left, sha256(leftAmd), sha256(signed)]) expect(await isThere(digest)).toBe(false);
    expect(splitbuild('verify', `${registry}/${repository}:develop`, '--plain-http').code).toBe(0);

    const [file = ''] = readdirSync(join(folder, '.splitbuild/prune'));
    const lines = readFileSync(join(folder, '.splitbuild/prune', file), 'utf8')
      .trim()
      .split('\n');
    const planned = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === 'planned');
    expect(planned).toContainEqual(
      expect.objectContaining({ repository, digest: sha256(leftAmd), manifest: leftAmd.toString() }),
    );

    const again = splitbuild('prune', '--repository', `${registry}/${repository}`, '--yes');
    expect(again.code).toBe(0);
    expect(again.stdout.trimEnd().split('\n').at(-1)).toMatch(/^Nothing to delete; 2 can't|^Nothing to delete; /);
  });

  test('tags of the config stay, whatever a glob says, until they are named', async () => {
    const config = join(folder, 'splitbuild.yaml');
    writeFileSync(
      config,
      `version: 1\nfamily: t\nplatforms: [linux/amd64]\nregistry: ${registry}\ntags: [stable]\nimages:\n  app: { repository: ${repository}, source: . }\n`,
    );
    await pushImage('stable', 'amd64', 'stable', 'other');
    await pushImage('old stable', 'amd64', 'older');
    const shown = splitbuild('prune', 'app', '--tags', '*', '--keep', 'develop*', '--json');
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    const [{ items, spared }] = JSON.parse(shown.stdout).repositories;
    expect(
      items.flatMap(({ tag, action }: { tag?: string; action: string }) => (tag === 'older' ? [action] : [])),
    ).toEqual(['along']);
    expect(spared.stable).toContain('a tag of the config');
    expect(splitbuild('prune', 'app', '--tags', 'older', '--yes').code).toBe(0);
    expect(await tags()).toEqual(expect.arrayContaining(['stable', 'other']));
    expect(await tags()).not.toContain('older');
    rmSync(config);
  });
});

describe.skipIf(!here)('a registry that takes no deletions', () => {
  test('is said so, and nothing is tried', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'prune-'));
    const debians = await startDebians(folder, { deletes: false });
    try {
      const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
      const signal = AbortSignal.timeout(60_000);
      const at = { registry: debians.address, repository: 'a' };
      const config = Buffer.from('{"os":"linux","architecture":"amd64"}');
      value(await client.putBlob(at, blobOf(config), opener(config), signal));
      for (const tag of [`${runOf(30, '00000a')}-amd64`, `${runOf(1, '00000b')}-amd64`]) {
        const manifest = imageManifest(config, [], { annotations: { tag } });
        value(await client.putManifest({ ...at, tag }, manifest, mediaTypes.ociManifest, signal));
      }
      const args = [main, 'prune', '--repository', `${debians.address}/a`];
      const shown = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
      expect([shown.status, shown.stdout]).toEqual([0, expect.stringContaining('it takes no deletions (405)')]);
      expect(spawnSync(process.execPath, [...args, '--yes'], { cwd: folder }).status).toBe(1);
      expect(value(await client.listTags(at, signal))).toHaveLength(2);
    } finally {
      await debians.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
