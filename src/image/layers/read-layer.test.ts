// Layers as tar, gzip and zstd, from GNU tar and by hand, whole and hostile.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { fail, ok } from '../../failure.ts';
import type { Descriptor } from '../oci.ts';
import type { LayerEntry } from './entry.ts';
import { layerLimits, readLayer } from './read-layer.ts';
import { layerType, MemoryStore, pax, type TestEntry, tarEntry, tarOf } from './testing.ts';

const repository = { registry: 'r.example', repository: 'team/app' };
const signal = new AbortController().signal;

async function read(tar: Buffer, mediaType = layerType, limits = layerLimits, head = Number.MAX_SAFE_INTEGER) {
  const store = new MemoryStore();
  const seen: (LayerEntry & { content?: string })[] = [];
  const visit = (entry: LayerEntry) => {
    const kept: LayerEntry & { content?: string } = { ...entry };
    seen.push(kept);
    return {
      head,
      take: (bytes: Buffer) => {
        kept.content = bytes.toString('latin1');
      },
    };
  };
  const result = await readLayer(store, repository, store.put(tar, mediaType), visit, signal, limits);
  return { result, seen, paths: seen.map(({ path }) => path) };
}

const problem = (message: string) => ({
  ok: false,
  failure: {
    kind: 'verification',
    message: expect.stringContaining(message),
    where: expect.stringContaining('sha256:'),
  },
});

describe('what a layer holds', () => {
  test('files, links, directories and removals are told as the image has them', async () => {
    const tar = tarOf(
      { name: './', flag: '5' },
      { name: 'usr/bin/', flag: '5', mode: 0o755 },
      { name: 'usr/bin/tool', content: 'hello', mode: 0o755 },
      { name: './usr/bin/other', flag: '1', linkName: 'usr/bin/tool' },
      { name: '/bin', flag: '2', linkName: 'usr/bin' },
      { name: 'etc/.wh.motd' },
      { name: 'var/cache/.wh..wh..opq' },
      { name: '.wh..wh.plnk/4.1' },
      { name: '.wh..wh.aufs' },
      { name: 'dev/null', flag: '3' },
    );
    const { result, seen } = await read(tar);
    expect(result).toEqual({ ok: true, value: { entries: 10, bytes: tar.length } });
    expect(seen).toMatchObject([
      { path: '/', type: 'directory' },
      { path: '/usr/bin', type: 'directory', mode: 0o755, size: 0 },
      { path: '/usr/bin/tool', type: 'file', size: 5, content: 'hello', mode: 0o755, uid: 1000, gid: 100 },
      { path: '/usr/bin/other', type: 'hardlink', linkTarget: '/usr/bin/tool' },
      { path: '/bin', type: 'symlink', linkTarget: 'usr/bin' },
      { path: '/etc/motd', type: 'whiteout' },
      { path: '/var/cache', type: 'opaque' },
      { path: '/.wh..wh.plnk/4.1', type: 'file' },
      { path: '/.wh..wh.aufs', type: 'other' },
      { path: '/dev/null', type: 'other' },
    ]);
  });

  test('a path stays within the image, whatever it climbs', async () => {
    const { paths } = await read(tarOf({ name: '../../etc/passwd' }, { name: '/a/../../b//c/./d' }, { name: '..' }));
    expect(paths).toEqual(['/etc/passwd', '/b/c/d', '/']);
  });

  test('long names come from pax, GNU headers and prefixes', async () => {
    const long = `deep/${'x'.repeat(200)}`;
    const prefix = (header: Buffer) => header.write('some/folder', 345);
    const { seen } = await read(
      tarOf(
        pax(['path', long], ['linkpath', `${long}/target`], ['mtime', '1.5']),
        { name: 'short', flag: '2', linkName: 'short' },
        tarEntry({ name: '././@LongLink', flag: 'K', content: `${long}/gnu\0` }),
        tarEntry({ name: '././@LongLink', flag: 'L', content: `${long}\0` }),
        { name: 'short', flag: '2', linkName: 'short' },
        { name: 'name', edit: prefix },
        { name: 'plain' },
      ),
    );
    expect(seen).toMatchObject([
      { path: `/${long}`, linkTarget: `${long}/target` },
      { path: `/${long}`, linkTarget: `${long}/gnu` },
      { path: '/some/folder/name' },
      { path: '/plain' },
    ]);
  });

  test('a visitor gets the first bytes that it asks for, also of what is shorter', async () => {
    const content = createHash('shake256', { outputLength: 200_000 }).digest();
    const { seen } = await read(
      tarOf({ name: 'a', content }, { name: 'b', content: 'short' }),
      layerType,
      layerLimits,
      100_000,
    );
    expect(seen.map((entry) => entry.content)).toEqual([content.toString('latin1', 0, 100_000), 'short']);
  });

  test('an archive without its end, or without the last padding, is whole; what follows its end is not read', async () => {
    const entry = tarEntry({ name: 'a', content: 'hello' });
    expect(await read(entry)).toMatchObject({ result: { ok: true }, paths: ['/a'] });
    expect(await read(entry.subarray(0, 517))).toMatchObject({ result: { ok: true }, paths: ['/a'] });
    expect(await read(Buffer.concat([tarOf(entry), Buffer.alloc(700, 'x')]))).toMatchObject({
      result: { ok: true },
      paths: ['/a'],
    });
    expect(await read(Buffer.alloc(0))).toMatchObject({ result: { ok: true, value: { entries: 0 } } });
  });

  test('owners may be negative, as archive/tar takes them, and a name with a slash is a directory only before POSIX', async () => {
    const negative = (header: Buffer) => header.fill(0xff, 108, 116);
    const old = (header: Buffer) => header.fill(0, 156, 157).fill(0, 257, 265);
    const { seen } = await read(
      tarOf({ name: 'a', edit: negative }, { name: 'b/', edit: old, size: 9 }, { name: 'c/', content: 'x' }),
    );
    expect(seen).toMatchObject([
      { uid: -1 },
      { path: '/b', type: 'directory' },
      { path: '/c', type: 'file', content: 'x' },
    ]);
  });

  test('what a path could do to a terminal is written out in messages', async () => {
    const { result } = await read(tarOf({ name: 'a\x1b[2J\nb', content: 'x'.repeat(900) }).subarray(0, 600));
    expect(result).toMatchObject(problem('it ends within /a\\x1b[2J\\x0ab'));
  });

  test('a link or directory has no content, whatever its size says', async () => {
    const tar = tarOf(
      { name: 'a', flag: '1', linkName: 'b', size: 4096 },
      { name: 'd/', flag: '5', size: 99 },
      { name: 'c' },
    );
    expect((await read(tar)).paths).toEqual(['/a', '/d', '/c']);
  });
});

describe('compressions', () => {
  const tar = tarOf({ name: 'a', content: 'hello' }, { name: 'b', content: Buffer.alloc(300_000, 'ab') });
  const skippable = Buffer.concat([Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0]), Buffer.from('toc')]);
  const noise = createHash('shake256', { outputLength: 500_000 }).digest();
  const large = tarOf({ name: 'noise', content: noise }, { name: 'b', content: 'after' });

  test.each<[string, string, Buffer]>([
    ['OCI tar', layerType, tar],
    ['Docker tar', 'application/vnd.docker.image.rootfs.diff.tar', tar],
    ['OCI gzip', `${layerType}+gzip`, gzipSync(tar)],
    ['Docker gzip', 'application/vnd.docker.image.rootfs.diff.tar.gzip', gzipSync(tar)],
    [
      'gzip in members',
      `${layerType}+gzip`,
      Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
    ],
    ['OCI zstd', `${layerType}+zstd`, zstdCompressSync(tar)],
    ['Docker zstd', 'application/vnd.docker.image.rootfs.diff.tar.zstd', zstdCompressSync(tar)],
    [
      'zstd in frames',
      `${layerType}+zstd`,
      Buffer.concat([
        zstdCompressSync(tar.subarray(0, 700)),
        skippable,
        zstdCompressSync(tar.subarray(700)),
        skippable,
      ]),
    ],
  ])('%s is read', async (_name, type, bytes) => {
    const { result, seen } = await read(bytes, type);
    expect(result).toEqual({ ok: true, value: { entries: 2, bytes: tar.length } });
    expect(seen.map(({ path, size }) => [path, size])).toEqual([
      ['/a', 5],
      ['/b', 300_000],
    ]);
    expect(seen[1]?.content).toBe('ab'.repeat(150_000));
  });

  test('a frame of zstd that is larger than a portion is streamed', async () => {
    const { result, seen } = await read(zstdCompressSync(large), `${layerType}+zstd`);
    expect(result).toMatchObject({ ok: true });
    expect(seen.map(({ content }) => content)).toEqual([noise.toString('latin1'), 'after']);
  });

  test.each([
    ['gzip', gzipSync(large)],
    ['zstd', zstdCompressSync(large)],
  ])('a %s layer that is cut, damaged, something else or followed by something is refused', async (kind, whole) => {
    const type = `${layerType}+${kind}`;
    const damaged = Buffer.from(whole);
    damaged.fill(0xa5, 3, 40);
    expect((await read(whole.subarray(0, -9), type)).result).toMatchObject(
      problem(`said to be ${kind} is not, or is damaged`),
    );
    expect((await read(whole.subarray(0, 2), type)).result).toMatchObject(problem('damaged'));
    expect((await read(damaged, type)).result).toMatchObject({ ok: false, failure: { kind: 'verification' } });
    expect((await read(large, type)).result).toMatchObject(problem(`said to be ${kind}`));
    expect((await read(Buffer.concat([whole, Buffer.alloc(90_000, 'x')]), type)).result).toMatchObject({ ok: false });
    expect((await read(Buffer.alloc(0), type)).result).toMatchObject({ ok: false });
  });

  test('a layer that lies elsewhere, or holds no files, is passed over with a word', async () => {
    const foreign = await read(tar, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    expect(foreign.result).toEqual({
      ok: true,
      value: { entries: 0, bytes: 0, skipped: expect.stringContaining('elsewhere') },
    });
    const statement = await read(tar, 'application/vnd.in-toto+json');
    expect(statement.result).toMatchObject({ ok: true, value: { skipped: expect.stringContaining('in-toto') } });
    const store = new MemoryStore();
    const withUrls: Descriptor = { ...store.put(tar), urls: ['https://elsewhere.example/layer'] };
    const result = await readLayer(store, repository, withUrls, () => undefined, signal);
    expect(result).toMatchObject({ ok: true, value: { skipped: expect.stringContaining('elsewhere') } });
  });
});

describe('hostile layers', () => {
  const size = (bytes: number[]) => (header: Buffer) => Buffer.from(bytes).copy(header, 124);
  test.each<[string, Buffer, string]>([
    [
      'a checksum that is wrong',
      Buffer.concat([tarEntry({ name: 'a' }), Buffer.alloc(512, 'x')]),
      'wrong checksum (/a)',
    ],
    ['an end within a header', tarEntry({ name: 'a' }).subarray(0, 300), 'it ends within its first header'],
    [
      'an end within a file',
      tarOf({ name: 'dir/a', content: 'x'.repeat(900) }).subarray(0, 1000),
      'it ends within /dir/a',
    ],
    ['a negative size', tarOf({ name: 'a', edit: size(Array(12).fill(0xff)) }), 'negative'],
    ['a negative octal size', tarOf({ name: 'a', edit: (header) => header.write('-0000000001\0', 124) }), 'negative'],
    [
      'a size beyond all numbers',
      tarOf({ name: 'a', edit: size([0x80, ...Array(11).fill(0xff)]) }),
      'beyond all measure',
    ],
    ['a size that is a word', tarOf({ name: 'a', edit: (header) => header.write('many', 124) }), 'no number'],
    ['a negative size of pax', tarOf(pax(['size', '-1']), { name: 'a' }), 'size is negative'],
    ['a size of pax that is a word', tarOf(pax(['size', '1e9']), { name: 'a' }), 'size is no number'],
    ['a pax header of gigabytes', tarOf({ name: 'x', flag: 'x', size: 2 ** 32 }), 'a header of 4294967296 bytes'],
    ['a long name of gigabytes', tarOf({ name: 'x', flag: 'L', size: 2 ** 32 }), 'a header of 4294967296 bytes'],
    ['a path that Linux does not know', tarOf(pax(['path', 'x'.repeat(5000)]), { name: 'a' }), 'more than 4096 bytes'],
    [
      'a record without end',
      tarOf(tarEntry({ name: 'x', flag: 'x', content: '99 path=a\n' }), { name: 'a' }),
      'malformed',
    ],
    [
      'a record without value',
      tarOf(tarEntry({ name: 'x', flag: 'x', content: '7 path\n' }), { name: 'a' }),
      'malformed',
    ],
    [
      'a record of no length',
      tarOf(tarEntry({ name: 'x', flag: 'x', content: '0 path=a\n' }), { name: 'a' }),
      'malformed',
    ],
    ['a file that claims the world', tarOf({ name: 'a', size: 0o77777777777 }), 'it ends within /a'],
    [
      'zeros amid the headers',
      tarOf(tarEntry({ name: 'a' }), Buffer.alloc(512), tarEntry({ name: 'b' })),
      'block of zeros',
    ],
    [
      'a sparse map out of bounds',
      tarOf(pax(['GNU.sparse.map', '5,9'], ['GNU.sparse.size', '6']), { name: 'a', content: '123456789' }),
      'outside',
    ],
    [
      'a sparse map that overlaps',
      tarOf(pax(['GNU.sparse.map', '0,2,1,2'], ['GNU.sparse.size', '6']), { name: 'a', content: '1234' }),
      'overlap',
    ],
    [
      'a sparse map of other bytes',
      tarOf(pax(['GNU.sparse.map', '0,6'], ['GNU.sparse.size', '6']), { name: 'a', content: '1234' }),
      '6 bytes for 4',
    ],
    [
      'a sparse map in the content that never ends',
      tarOf(pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.realsize', '6']), {
        name: 'a',
        content: `999\n${'1\n'.repeat(100)}`,
      }),
      'longer than its file',
    ],
  ] satisfies [string, Buffer | TestEntry, string][])('%s is refused', async (_name, tar, words) => {
    const { result } = await read(tar);
    expect(result).toMatchObject(problem(words));
    expect((await read(gzipSync(tar), `${layerType}+gzip`)).result).toMatchObject(problem(words));
  });

  test('limits of entries, bytes and ratio each end the reading', async () => {
    const three = tarOf({ name: 'a' }, { name: 'b' }, { name: 'c' });
    expect((await read(three, layerType, { ...layerLimits, entries: 2 })).result).toMatchObject(
      problem('more than 2 entries'),
    );
    const zeros = gzipSync(tarOf({ name: 'a', content: Buffer.alloc(5_000_000) }));
    const bytes = { ...layerLimits, bytes: 2 ** 20 };
    expect((await read(zeros, `${layerType}+gzip`, bytes)).result).toMatchObject(problem('GiB of files'));
    const ratio = { ...layerLimits, ratio: 100, ratioFrom: 1_000_000 };
    expect((await read(zeros, `${layerType}+gzip`, ratio)).result).toMatchObject(problem('a bomb'));
    expect((await read(zeros, `${layerType}+gzip`)).result).toMatchObject({ ok: true });
  });

  test('a store that breaks off is told in its own words, and a cancelled reading as that', async () => {
    const store = new MemoryStore();
    const layer = store.put(gzipSync(tarOf({ name: 'a', content: 'hello' })), `${layerType}+gzip`);
    const failure = { kind: 'registry', transient: true, message: 'the download ended' } as const;
    const dying = (error: Error) => ({
      readBlob: store.readBlob.bind(store),
      hasBlob: store.hasBlob.bind(store),
      getManifest: store.getManifest.bind(store),
      getBlob: async () => {
        async function* parts() {
          yield Buffer.from([0x1f, 0x8b]);
          throw error;
        }
        return ok(Readable.from(parts(), { objectMode: false }));
      },
    });
    const told = await readLayer(
      dying(Object.assign(new Error('x'), { failure })),
      repository,
      layer,
      () => undefined,
      signal,
    );
    expect(told).toEqual({ ok: false, failure });
    const reset = await readLayer(dying(new Error('reset')), repository, layer, () => undefined, signal);
    expect(reset).toMatchObject({
      ok: false,
      failure: { kind: 'registry', transient: true, message: expect.stringContaining('reset') },
    });
    const cancelled = await readLayer(store, repository, layer, () => undefined, AbortSignal.abort());
    expect(cancelled).toEqual(fail({ kind: 'cancelled' }));
  });

  test('an error of the visitor is a bug, and thrown', async () => {
    const store = new MemoryStore();
    const broken = readLayer(
      store,
      repository,
      store.put(tarOf({ name: 'a' })),
      () => {
        throw new Error('a bug');
      },
      signal,
    );
    await expect(broken).rejects.toThrow('a bug');
  });
});

const gnuTar = spawnSync('tar', ['--version'], { encoding: 'utf8' }).stdout?.includes('GNU tar') === true;
const folder = mkdtempSync(join(tmpdir(), 'layers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.skipIf(!gnuTar)('archives that GNU tar made', () => {
  /** Data at the ends and in the middle of so many holes; more than the 25 segments of a header and one block after it. */
  function sparseFile(name: string, pieces: number): Buffer {
    const step = 64 << 10;
    const content = Buffer.alloc(step * pieces);
    const file = openSync(join(folder, name), 'w');
    ftruncateSync(file, content.length);
    for (let at = 0; at < pieces; at += 1) {
      const position = at * step + 4096 * (at % 3);
      content.write(`piece ${at}`, position);
      writeSync(file, `piece ${at}`, position);
    }
    closeSync(file);
    return content;
  }

  test.each([
    ['old GNU', ['--format=gnu']],
    ['pax 0.0', ['--format=posix', '--sparse-version=0.0']],
    ['pax 0.1', ['--format=posix', '--sparse-version=0.1']],
    ['pax 1.0', ['--format=posix', '--sparse-version=1.0']],
  ])('sparse files of format %s are read as the file that they are', async (_name, options) => {
    const [few, many] = [sparseFile('few', 3), sparseFile('many', 70)];
    writeFileSync(join(folder, 'after'), 'after');
    const packed = spawnSync('tar', ['-c', '--sparse', ...options, '-C', folder, 'few', 'many', 'after'], {
      maxBuffer: 1 << 26,
    });
    expect(packed.status).toBe(0);
    expect(packed.stdout.length).toBeLessThan(few.length + many.length);
    const { result, seen } = await read(packed.stdout);
    expect(result).toMatchObject({ ok: true });
    expect(seen.map(({ path, size }) => [path, size])).toEqual([
      ['/few', few.length],
      ['/many', many.length],
      ['/after', 5],
    ]);
    expect(seen.map(({ content }) => content)).toEqual([few.toString('latin1'), many.toString('latin1'), 'after']);
    const { seen: heads } = await read(packed.stdout, layerType, layerLimits, 200_000);
    expect(heads[1]?.content).toBe(many.toString('latin1', 0, 200_000));
  });
});
