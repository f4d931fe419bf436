// `splitbuild export` and `splitbuild copy` as a user runs them, between Debian's registries, and read by a Docker Engine and skopeo.
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Engine, startEngine } from '../bench/engine.ts';
import { layerTar, type PushedImage, plainClient, pushImage, pushIndex } from '../src/export/testing.ts';
import { sha256 } from '../src/image/digest.ts';
import { startEmbeddedRegistry } from '../src/registry/embedded.ts';
import { hasProgram, startDebians, value } from '../src/registry/testing.ts';

const program = process.env.SPLITBUILD_PROGRAM ?? join(import.meta.dirname, '../dist/cli.js');
const here = hasProgram('docker-registry') && hasProgram('skopeo');
const signal = AbortSignal.timeout(300_000);
let folder: string;
let registry: Awaited<ReturnType<typeof startDebians>>;
let other: Awaited<ReturnType<typeof startDebians>>;
let engine: Engine;
let image: PushedImage;
let index: Buffer;

interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

function splitbuild(args: string[], cwd = folder): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

async function run(name: string, ...args: string[]): Promise<string> {
  return (await promisify(execFile)(name, args, { maxBuffer: 1 << 28 })).stdout;
}

async function pushFamily(address: string, repository: string): Promise<void> {
  image = await pushImage(address, repository, 'amd64', [
    { tar: layerTar('base', 3_000_000), compression: 'gzip' },
    { tar: layerTar('app', 50_000), compression: 'gzip' },
    { tar: layerTar('data', 50_000), compression: 'zstd' },
  ]);
  const arm = await pushImage(address, repository, 'arm64', [{ tar: layerTar('arm', 50_000), compression: 'gzip' }]);
  const pushed = await pushIndex(address, repository, 'v1', [
    { architecture: 'amd64', image },
    { architecture: 'arm64', image: arm },
  ]);
  index = pushed.bytes;
}

describe.skipIf(!here)('between registries and files', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'splitbuild-export-'));
    for (const name of ['one', 'two']) await mkdir(join(folder, name));
    registry = await startDebians(join(folder, 'one'));
    other = await startDebians(join(folder, 'two'));
    engine = await startEngine(join(folder, 'engine'));
    await pushFamily(registry.address, 'team/app');
  });

  afterAll(async () => {
    if ('stop' in engine) await engine.stop();
    await registry.stop();
    await other.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('docker load takes every docker-archive, and its image is the one that was built', async ({ skip }) => {
    if ('absent' in engine) return skip(engine.absent);
    for (const [file, ...more] of [
      ['a.tar'],
      ['a.tar.gz'],
      ['b.tar', '--layers', 'unpacked'],
      ['b.tar.gz', '--layers', 'unpacked'],
    ]) {
      const named = ['--platform', 'linux/amd64', '--name', 'loaded/app:v1', '--out', file ?? ''];
      const done = await splitbuild(['export', `${registry.address}/team/app:v1`, ...named, ...more]);
      expect(done).toMatchObject({ code: 0, stderr: '' });
      await run('docker', '--host', engine.host, 'load', '--quiet', '--input', join(folder, file ?? ''));
      const [seen] = JSON.parse(await run('docker', '--host', engine.host, 'image', 'inspect', 'loaded/app:v1'));
      expect(seen.Id).toBe(sha256(image.config));
      expect(seen.RootFS.Layers).toEqual(image.layers.map(({ diffId }) => diffId));
      await run('docker', '--host', engine.host, 'image', 'rm', '--force', 'loaded/app:v1');
    }
  });

  test('an archive goes through a pipe into docker load', async ({ skip }) => {
    if ('absent' in engine) return skip(engine.absent);
    const command = `"$0" "$1" export ${registry.address}/team/app:v1 --platform linux/amd64 --name piped:1 --out - | docker --host ${engine.host} load`;
    expect(await run('sh', '-ec', command, process.execPath, program)).toContain('Loaded image: piped:1');
  });

  test('an oci-archive has all platforms and attestations', async () => {
    const done = await splitbuild([
      'export',
      `${registry.address}/team/app:v1`,
      '--format',
      'oci-archive',
      '--out',
      'all.tar.gz',
    ]);
    expect(done.code).toBe(0);
    const raw = await run('skopeo', 'inspect', '--raw', `oci-archive:${join(folder, 'all.tar.gz')}:v1`);
    expect(raw).toBe(index.toString());
  });

  test('the files of the config are those that its exports name, from the embedded registry', async () => {
    const project = await mkdtemp(join(folder, 'project-'));
    const embedded = value(await startEmbeddedRegistry({ root: join(project, '.splitbuild/registry') }));
    await pushFamily(embedded.address, 'team/app');
    await embedded.close();
    await mkdir(join(project, 'app'));
    await writeFile(join(project, 'app/Dockerfile'), 'FROM scratch\n');
    await writeFile(
      join(project, 'splitbuild.yaml'),
      [
        'version: 1',
        'family: team',
        'platforms: [linux/amd64, linux/arm64]',
        'tags: [v1]',
        'images: { app: { repository: team/app, source: ./app } }',
        'exports: [{ image: app, file: "app-${tag}${archSuffix}.tar.gz", plain: linux/amd64 }]',
      ].join('\n'),
    );
    const done = await splitbuild(['export'], project);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect((await readdir(join(project, 'images'))).sort()).toEqual(['app-v1-arm64.tar.gz', 'app-v1.tar.gz']);
    const manifest = await run('tar', '-xzOf', join(project, 'images/app-v1-arm64.tar.gz'), 'manifest.json');
    expect(JSON.parse(manifest)[0].RepoTags).toEqual(['team/app:v1-arm64']);
  });

  test('what isn’t there is said, with exit code 1, and no file is left; a wrong call is 2', async () => {
    const into = await mkdtemp(join(folder, 'into-'));
    const absent = await splitbuild(['export', `${registry.address}/team/none:v1`, '--out', 'x.tar'], into);
    expect(absent.code).toBe(1);
    expect(absent.stderr).toContain('team/none:v1');
    expect((await splitbuild(['export', `${registry.address}/team/app:v1`, '--out', 'x.tar'], into)).code).toBe(2);
    expect((await splitbuild(['export', `${registry.address}/team/app:v1`, '--out', 'x.zip'], into)).code).toBe(2);
    expect(await readdir(into)).toEqual([]);
  });

  test('copy: one image, all tags, a prefix, a list, a layout and back', async () => {
    const source = `${registry.address}/team/app`;
    const client = plainClient();
    const read = async (repository: string, tag: string) =>
      value(await client.headManifest({ registry: other.address, repository, tag }, signal))?.digest;
    const one = await splitbuild(['copy', `${source}:v1`, `${other.address}/one/app`]);
    expect(one).toMatchObject({ code: 0, stderr: '' });
    expect(await read('one/app', 'v1')).toBe(sha256(index));
    const again = await splitbuild(['copy', `${source}:v1`, `${other.address}/one/app`]);
    expect(again.stdout).toContain('there already');
    expect((await splitbuild(['copy', '--all-tags', source, `${other.address}/every/app`])).code).toBe(0);
    expect(await read('every/app', 'v1')).toBe(sha256(index));
    expect((await splitbuild(['copy', `${source}:v1`, `${other.address}/mirror/`])).code).toBe(0);
    expect(await read('mirror/team/app', 'v1')).toBe(sha256(index));
    await writeFile(
      join(folder, 'list'),
      `# two\n${source}:v1 ${other.address}/l/a:1\n\n${source}:v1 ${other.address}/l/b:2 # twice\n`,
    );
    const list = await splitbuild(['copy', '--from-file', 'list', '--json']);
    expect(JSON.parse(list.stdout).length).toBe(2);
    expect(await read('l/b', '2')).toBe(sha256(index));
    expect((await splitbuild(['copy', `${source}:v1`, 'oci:layout:v1'])).code).toBe(0);
    expect(JSON.parse(await readFile(join(folder, 'layout/index.json'), 'utf8')).manifests[0].digest).toBe(
      sha256(index),
    );
    expect((await splitbuild(['copy', 'oci:layout:v1', `${other.address}/back/app:v2`])).code).toBe(0);
    expect(await read('back/app', 'v2')).toBe(sha256(index));
    const absent = await splitbuild(['copy', `${source}:none`, `${other.address}/x`]);
    expect(absent.code).toBe(1);
    expect(absent.stderr).toContain('team/app:none');
    expect((await splitbuild(['copy', source])).code).toBe(2);
  });
});
