// Archives as other programs read them: gzip, zstd, tar and skopeo; their bytes, and what is left when something is wrong.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { crc32, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { embeddedName, sourceAnywhere } from '../copy/anywhere.ts';
import type { ImageSource } from '../copy/store.ts';
import { type Platform, parsePlatform } from '../image/platform.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../registry/embedded.ts';
import { hasProgram, noise, value } from '../registry/testing.ts';
import { segmentsOf } from './archive.ts';
import { combineCrc32 } from './crc.ts';
import { encodingOf } from './encoding.ts';
import { type ExportOptions, exportImages } from './export-image.ts';
import type { Wanted } from './read-images.ts';
import { layerTar, type PushedImage, plainClient, pushImage, pushIndex } from './testing.ts';
import { writeArchive } from './write-archive.ts';

const signal = AbortSignal.timeout(120_000);
const repository = 'team/app';
const amd64 = value(parsePlatform('linux/amd64'));
const arm64 = value(parsePlatform('linux/arm64'));
const docker: ExportOptions = { format: 'docker-archive', compression: 'none', layers: 'kept' };

let folder: string;
let registry: EmbeddedRegistry;
let root: string;
let image: PushedImage;
let index: Awaited<ReturnType<typeof pushIndex>>;
const tars = [layerTar('base', 3_000_000), layerTar('app', 300_000), layerTar('data', 70_000)];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'splitbuild-export-'));
  root = join(folder, 'registry');
  registry = value(await startEmbeddedRegistry({ root }));
  const [base, app, data] = tars;
  if (!base || !app || !data) throw new Error('three layers');
  image = await pushImage(registry.address, repository, 'amd64', [
    { tar: base, compression: 'gzip' },
    { tar: app, compression: 'zstd' },
    { tar: data, compression: 'none' },
  ]);
  const other = await pushImage(registry.address, repository, 'arm64', [
    { tar: layerTar('arm', 5000), compression: 'gzip' },
  ]);
  index = await pushIndex(registry.address, repository, 'v1', [
    { architecture: 'amd64', image },
    { architecture: 'arm64', image: other },
  ]);
});

afterAll(async () => {
  await registry.close();
  await rm(folder, { recursive: true, force: true });
});

function wanted(platforms: Platform[] = [amd64], names = ['team/app:v1']): Wanted {
  return { reference: { registry: registry.address, repository, tag: 'v1' }, platforms, names };
}

async function exported(name: string, options: Partial<ExportOptions> = {}, what = wanted(), from?: ImageSource) {
  const file = join(folder, name);
  const size = value(await exportImages(from ?? plainClient(), [what], { file }, { ...docker, ...options }, signal));
  const bytes = await readFile(file);
  expect(bytes.length).toBe(size);
  return { file, bytes };
}

/** GNU tar says what is in it, and what that holds. */
function listed(file: string): string[] {
  return execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');
}

function member(file: string, name: string): Buffer {
  return execFileSync('tar', ['-xOf', file, name], { maxBuffer: 1 << 27 });
}

describe('a docker-archive', () => {
  test('holds the config as it is, layers of gzip as they are, and those of zstd unpacked', async () => {
    const { file } = await exported('kept.tar');
    const [manifest] = JSON.parse(member(file, 'manifest.json').toString());
    expect(manifest.RepoTags).toEqual(['team/app:v1']);
    expect(member(file, manifest.Config).equals(image.config)).toBe(true);
    const [base, app, data] = manifest.Layers;
    expect(gunzipSync(member(file, base)).equals(tars[0] ?? Buffer.alloc(0))).toBe(true);
    expect(member(file, app).equals(tars[1] ?? Buffer.alloc(0))).toBe(true);
    expect(member(file, data).equals(tars[2] ?? Buffer.alloc(0))).toBe(true);
    expect(listed(file).sort()).toEqual(['manifest.json', 'repositories', manifest.Config, base, app, data].sort());
  });

  test('has plain layers where that is asked for', async () => {
    const { file } = await exported('unpacked.tar', { layers: 'unpacked' });
    const [manifest] = JSON.parse(member(file, 'manifest.json').toString());
    const layers = manifest.Layers.map((name: string) => member(file, name));
    expect(layers.map((layer: Buffer, place: number) => layer.equals(tars[place] ?? Buffer.alloc(0)))).toEqual([
      true,
      true,
      true,
    ]);
  });

  test('is the same bytes each time, whatever comes first, from a registry and from a folder', async () => {
    for (const compression of ['none', 'gzip', 'zstd'] as const) {
      for (const layers of ['kept', 'unpacked'] as const) {
        const first = await exported('first', { compression, layers });
        const second = await exported('second', { compression, layers });
        const local = { ...wanted(), reference: { registry: embeddedName, repository, tag: 'v1' } };
        const third = await exported('third', { compression, layers }, local, sourceAnywhere(plainClient(), root));
        expect(first.bytes.equals(second.bytes)).toBe(true);
        expect(first.bytes.equals(third.bytes)).toBe(true);
      }
    }
  });

  test('of gzip is what gzip reads, and the same tar within', async () => {
    for (const layers of ['kept', 'unpacked'] as const) {
      const plain = await exported('plain.tar', { layers });
      const { file } = await exported('packed.tar.gz', { compression: 'gzip', layers });
      expect(spawnSync('gzip', ['-t', file]).status).toBe(0);
      expect(execFileSync('zcat', [file], { maxBuffer: 1 << 27 }).equals(plain.bytes)).toBe(true);
    }
  });

  test.skipIf(!hasProgram('zstd'))('of zstd is what zstd reads, and the same tar within', async () => {
    for (const layers of ['kept', 'unpacked'] as const) {
      const plain = await exported('plain.tar', { layers });
      const { file } = await exported('packed.tar.zst', { compression: 'zstd', layers });
      expect(execFileSync('zstd', ['-dc', file], { maxBuffer: 1 << 27 }).equals(plain.bytes)).toBe(true);
    }
  });

  test('goes to a stream as to a file', async () => {
    for (const compression of ['none', 'gzip'] as const) {
      const { bytes } = await exported('to-file', { compression });
      const stream = new PassThrough();
      const read = buffer(stream);
      value(await exportImages(plainClient(), [wanted()], { stream }, { ...docker, compression }, signal));
      stream.end();
      const streamed = await read;
      expect(streamed.equals(bytes)).toBe(true);
    }
  });

  test('is of one platform: several are refused with what there is', async () => {
    const file = join(folder, 'refused.tar');
    const done = await exportImages(plainClient(), [wanted([])], { file }, docker, signal);
    expect(done).toMatchObject({ ok: false, failure: { kind: 'usage', message: /linux\/amd64, linux\/arm64/ } });
    expect((await exported('arm.tar', {}, wanted([arm64]))).bytes.length).toBeGreaterThan(5000);
  });

  test('of several images has each layer once', async () => {
    const file = join(folder, 'two.tar');
    const what = [wanted([amd64], ['a:1']), wanted([amd64], ['b:1', 'b:2'])];
    value(await exportImages(plainClient(), what, { file }, docker, signal));
    expect(new Set(listed(file)).size).toBe(listed(file).length);
    const manifest = JSON.parse(member(file, 'manifest.json').toString());
    expect(manifest.map(({ RepoTags }: { RepoTags: string[] }) => RepoTags)).toEqual([['a:1'], ['b:1', 'b:2']]);
  });

  test.skipIf(!hasProgram('skopeo'))('is read by skopeo, and gives the layers of the config', async () => {
    for (const [name, compression] of [
      ['s.tar', 'none'],
      ['s.tar.zst', 'zstd'],
    ] as const) {
      const { file } = await exported(name, { compression });
      const seen = JSON.parse(execFileSync('skopeo', ['inspect', `docker-archive:${file}`], { encoding: 'utf8' }));
      // skopeo names the layers of an archive by their content.
      expect(seen.Layers).toEqual(image.layers.map(({ diffId }) => diffId));
      expect(seen.Architecture).toBe('amd64');
      await rm(join(folder, 'copied'), { recursive: true, force: true });
      execFileSync('skopeo', ['copy', '--quiet', `docker-archive:${file}`, `oci:${join(folder, 'copied')}:x`]);
    }
  });
});

describe('an oci-archive', () => {
  test('holds the index byte by byte, all platforms and their attestations', async () => {
    const { file } = await exported('all.tar', { format: 'oci-archive' }, wanted([]));
    const [entry] = JSON.parse(member(file, 'index.json').toString()).manifests;
    expect(entry.annotations).toEqual({
      'io.containerd.image.name': 'docker.io/team/app:v1',
      'org.opencontainers.image.ref.name': 'v1',
    });
    const at = (digest: string) => member(file, `blobs/${digest.replace(':', '/')}`);
    expect(at(entry.digest).equals(index.bytes)).toBe(true);
    expect(index.attestations.length).toBe(2);
    for (const { digest } of index.attestations) expect(JSON.parse(at(digest).toString()).layers.length).toBe(1);
  });

  test('of one platform is the image itself; of those it has, the index itself', async () => {
    const one = await exported('one.tar', { format: 'oci-archive' }, wanted([amd64]));
    expect(JSON.parse(member(one.file, 'index.json').toString()).manifests[0].digest).toBe(image.descriptor.digest);
    const both = await exported('both.tar', { format: 'oci-archive' }, wanted([amd64, arm64]));
    const all = await exported('every.tar', { format: 'oci-archive' }, wanted([]));
    expect(both.bytes.equals(all.bytes)).toBe(true);
  });

  test.skipIf(!hasProgram('skopeo'))('is read by skopeo, with all platforms', async () => {
    for (const [name, compression] of [
      ['o.tar', 'none'],
      ['o.tar.gz', 'gzip'],
    ] as const) {
      const { file } = await exported(name, { format: 'oci-archive', compression }, wanted([]));
      const raw = execFileSync('skopeo', ['inspect', '--raw', `oci-archive:${file}:v1`]);
      expect(raw.equals(index.bytes)).toBe(true);
      await rm(join(folder, 'whole'), { recursive: true, force: true });
      execFileSync('skopeo', ['copy', '--quiet', '--all', `oci-archive:${file}:v1`, `oci:${join(folder, 'whole')}:x`]);
    }
  });
});

describe('where something is wrong', () => {
  test('a corrupted blob is a failure, and no file is left, old or half', async () => {
    const layer = image.layers[0]?.descriptor.digest ?? '';
    const blob = join(root, repository, 'blobs', layer.replace(':', '/'));
    const good = await readFile(blob);
    const bad = Buffer.from(good);
    bad[bad.length - 100] = (bad[bad.length - 100] ?? 0) ^ 1;
    await writeFile(blob, bad);
    const into = await mkdtemp(join(folder, 'into-'));
    try {
      for (const options of [
        docker,
        { ...docker, layers: 'unpacked' as const },
        { ...docker, compression: 'gzip' as const },
      ]) {
        const done = await exportImages(plainClient(), [wanted()], { file: join(into, 'x.tar') }, options, signal);
        expect(done).toMatchObject({ ok: false, failure: { kind: 'verification' } });
      }
      expect(await readdir(into)).toEqual([]);
      await writeFile(join(into, 'x.tar'), 'old');
      await exportImages(plainClient(), [wanted()], { file: join(into, 'x.tar') }, docker, signal);
      expect(await readFile(join(into, 'x.tar'), 'utf8')).toBe('old');
      expect(await readdir(into)).toEqual(['x.tar']);
    } finally {
      await writeFile(blob, good);
    }
  });

  test('a layer whose content is not that of the config is a failure', async () => {
    const honest = layerTar('honest', 2000);
    const pushed = await pushImage(registry.address, 'team/liar', 'amd64', [{ tar: honest, compression: 'gzip' }]);
    const client = plainClient();
    const lying: ImageSource = {
      ...client,
      readBlob: async (at, digest, inner) => {
        const read = await client.readBlob(at, digest, inner);
        if (!read.ok || digest !== JSON.parse(JSON.stringify(configDigest))) return read;
        return {
          ok: true,
          value: Buffer.from(
            Buffer.from(read.value)
              .toString()
              .replace(/sha256:[0-9a-f]{4}/, 'sha256:0000'),
          ),
        };
      },
    };
    const manifest = value(
      await client.getManifest(
        { registry: registry.address, repository: 'team/liar', digest: pushed.descriptor.digest },
        signal,
      ),
    );
    const configDigest = 'config' in manifest.content ? Reflect.get(manifest.content.config ?? {}, 'digest') : '';
    const what = {
      reference: { registry: registry.address, repository: 'team/liar', digest: pushed.descriptor.digest },
      platforms: [],
      names: [],
    };
    const done = await exportImages(
      lying,
      [what],
      { file: join(folder, 'liar.tar') },
      { ...docker, layers: 'unpacked' },
      signal,
    );
    expect(done).toMatchObject({ ok: false, failure: { kind: 'verification', message: /config says/ } });
  });

  test('what is cancelled leaves nothing', async () => {
    const stop = new AbortController();
    const into = await mkdtemp(join(folder, 'into-'));
    const client = plainClient();
    const stopping: ImageSource = {
      ...client,
      getBlob: (...args) => {
        stop.abort();
        return client.getBlob(...args);
      },
    };
    const done = await exportImages(stopping, [wanted()], { file: join(into, 'x.tar') }, docker, stop.signal);
    expect(done).toEqual({ ok: false, failure: { kind: 'cancelled' } });
    expect(await readdir(into)).toEqual([]);
  });
});

test('the CRC of two parts is that of the whole', () => {
  for (const [a, b] of [
    [0, 0],
    [1, 0],
    [0, 1],
    [7, 9],
    [1000, 65_537],
    [100_001, 3],
  ] as const) {
    const [first, second] = [noise(a, 'a'), noise(b, 'b')];
    expect(combineCrc32(crc32(first), crc32(second), b)).toBe(crc32(Buffer.concat([first, second])));
  }
});

test('a file with a long name is one that tar lists', async () => {
  const name = `blobs/sha512/${'a'.repeat(128)}`;
  const file = join(folder, 'long.tar');
  const chunks = segmentsOf([{ name, content: Buffer.from('x') }]);
  await writeFile(file, Buffer.concat(chunks.map((chunk) => (chunk instanceof Uint8Array ? chunk : Buffer.alloc(0)))));
  expect(listed(file)).toEqual([name]);
  expect(member(file, name).toString()).toBe('x');
  expect((await stat(file)).size).toBe(512 * 6);
});

test('a reader that goes away is a failure, not a crash', async () => {
  const stream = new PassThrough({ highWaterMark: 1 });
  stream.on('error', () => undefined);
  setImmediate(() => stream.destroy(new Error('gone')));
  const files = [{ name: 'x', content: Buffer.alloc(1 << 20) }];
  const done = await writeArchive(files, encodingOf('none'), { kind: 'stream', stream }, signal);
  expect(done).toMatchObject({ ok: false, failure: { kind: 'system', message: /gone/ } });
});
