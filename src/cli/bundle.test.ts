// The bundle that is published, by what can only break there: Node's own modules and undici are other ones in it (scripts/bundle.mjs), of
// which a part or all is loaded when it is first used.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { layerTar, pushImage, pushIndex } from '../export/testing.ts';
import { sha256 } from '../image/digest.ts';
import { tarOf } from '../image/layers/testing.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../registry/embedded.ts';
import { value } from '../registry/testing.ts';

const root = join(import.meta.dirname, '../..');
const testdata = join(root, 'src/image/packages/testdata');
let folder: string;
let registry: EmbeddedRegistry;
let index: Awaited<ReturnType<typeof pushIndex>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'splitbuild-bundle-'));
  await execa(process.execPath, ['scripts/bundle.mjs', join(folder, 'dist')], { cwd: root });
  registry = value(await startEmbeddedRegistry({ root: join(folder, 'registry') }));
  const content = gunzipSync(readFileSync(join(testdata, 'rpmdb.sqlite.gz')));
  const packages = tarOf({ name: 'usr/lib/sysimage/rpm/rpmdb.sqlite', content });
  const push = (architecture: string, tar: Buffer) =>
    pushImage(registry.address, 'team/app', architecture, [{ tar, compression: 'gzip' }]);
  index = await pushIndex(registry.address, 'team/app', 'v1', [
    { architecture: 'amd64', image: await push('amd64', packages) },
    { architecture: 'arm64', image: await push('arm64', layerTar('none', 3000)) },
  ]);
});

afterAll(async () => {
  await registry?.close();
  await rm(folder, { recursive: true, force: true });
});

interface Outcome {
  code: number | undefined;
  out: string;
  err: string;
}

function splitbuild(...words: string[]): Promise<Outcome> {
  return splitbuildIn({}, ...words);
}

async function splitbuildIn(env: Record<string, string>, ...words: string[]): Promise<Outcome> {
  const program = join(folder, 'dist/cli.js');
  const done = await execa(process.execPath, [program, ...words], { cwd: folder, env, reject: false });
  return { code: done.exitCode, out: done.stdout, err: done.stderr };
}

test('it says its version', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  expect(await splitbuild('--version')).toEqual({ code: 0, out: version, err: '' });
});

test('it reads packages from a database of SQLite', async () => {
  const { code, out, err } = await splitbuild('verify', '--parity', `${registry.address}/team/app:v1`, '--plain-http');
  expect([code, err]).toEqual([1, '']);
  for (const line of readFileSync(join(testdata, 'rpm-qa.txt'), 'utf8').trimEnd().split('\n')) {
    expect(out).toContain(line.split(' ')[0]);
  }
});

test('it copies from a registry to a folder and back', async () => {
  const plain = ['--plain-http', registry.address];
  const copied = await splitbuild('copy', `${registry.address}/team/app:v1`, 'oci:layout:v1', ...plain);
  expect(copied).toMatchObject({ code: 0, err: '' });
  const back = await splitbuild('copy', 'oci:layout:v1', `${registry.address}/team/other:v2`, '--json', ...plain);
  expect(JSON.parse(back.out)).toMatchObject([{ digest: sha256(index.bytes), moved: true }]);
});

test('it asks git for the branch, by a process', async () => {
  const family = join(folder, 'family');
  await execa('git', ['init', '--quiet', '--initial-branch', 'v7', family]);
  await writeFile(join(family, 'Dockerfile'), 'FROM scratch\n');
  await writeFile(
    join(family, 'splitbuild.yaml'),
    "version: 1\nfamily: f\nplatforms: [linux/amd64]\ntags: ['${branch}']\nimages: { a: { repository: f/a, source: . } }\n",
  );
  const planned = await splitbuild('plan', '--config', join(family, 'splitbuild.yaml'));
  expect(planned).toMatchObject({ code: 0, err: '' });
  expect(planned.out).toContain('publish a  → v7\n');
});

test('it exports, and compresses', async () => {
  const words = ['--plain-http', registry.address, '--layers', 'unpacked', '--out', 'app.tar.gz'];
  const image = `${registry.address}/team/app:v1`;
  expect(await splitbuild('export', image, '--platform', 'linux/arm64', ...words)).toMatchObject({ code: 0 });
  const archive = gunzipSync(readFileSync(join(folder, 'app.tar.gz')));
  expect(archive.includes(layerTar('none', 3000))).toBe(true);
});

test('it asks through a proxy', async () => {
  const asked: string[] = [];
  const [host, port] = registry.address.split(':');
  const proxy = createServer().on('connect', (request, socket: Socket) => {
    asked.push(request.url ?? '');
    const through = connect(Number(port), host, () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    through.on('error', () => socket.destroy()).pipe(socket);
    socket.on('error', () => through.destroy()).pipe(through);
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  const address = proxy.address();
  const env = { http_proxy: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`, no_proxy: '' };
  const seen = await splitbuildIn(env, 'inspect', 'registry.example/team/app:v1', '--plain-http', '--json');
  proxy.close();
  expect(seen).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse(seen.out)).toMatchObject({ digest: sha256(index.bytes) });
  expect(new Set(asked)).toEqual(new Set(['registry.example:80']));
});
