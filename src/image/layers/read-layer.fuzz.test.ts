// Whatever bytes a registry hands out as a layer, reading them ends with a Result, soon, and without holding on to them.
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layerLimits, readLayer } from './read-layer.ts';
import { layerType, MemoryStore, pax, tarEntry, tarOf } from './testing.ts';

const repository = { registry: 'r.example', repository: 'team/app' };
const signal = new AbortController().signal;

/** Reads as the audit does, and checks each entry that comes. */
async function read(bytes: Buffer, mediaType: string) {
  const store = new MemoryStore();
  let taken = 0;
  const limits = { ...layerLimits, bytes: 1 << 26 };
  const result = await readLayer(
    store,
    repository,
    store.put(bytes, mediaType),
    (entry) => {
      expect(entry.path).toMatch(/^\//);
      expect(entry.path.split('/')).not.toContain('..');
      expect(Buffer.byteLength(entry.path)).toBeLessThanOrEqual(4097);
      expect(entry.size).toBeGreaterThanOrEqual(0);
      return {
        head: 4096,
        take: (head) => {
          expect(head.length).toBe(Math.min(4096, entry.size));
          taken += 1;
        },
      };
    },
    signal,
    limits,
  );
  if (!result.ok) expect(result.failure).toMatchObject({ kind: 'verification', message: expect.stringMatching(/\S/) });
  return taken;
}

const kinds = [layerType, `${layerType}+gzip`, `${layerType}+zstd`];

/** A tar with everything in it that a tar can have. */
const rich = tarOf(
  { name: './', flag: '5' },
  pax(['path', `long/${'x'.repeat(120)}`], ['size', '700'], ['uid', '70000']),
  { name: 'short', content: Buffer.alloc(700, 'p') },
  tarEntry({ name: '././@LongLink', flag: 'L', content: 'a/long/name\0' }),
  { name: 'short', content: 'content' },
  { name: 'link', flag: '1', linkName: 'long/x' },
  { name: 'etc/.wh.gone' },
  pax(
    ['GNU.sparse.numblocks', '2'],
    ['GNU.sparse.map', '0,3,600,4'],
    ['GNU.sparse.size', '1000'],
    ['GNU.sparse.name', 'holes'],
  ),
  { name: 'holes', content: '1234567' },
  pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ['GNU.sparse.realsize', '900']),
  { name: 'holes', content: Buffer.concat([Buffer.from('1\n800\n5\n'.padEnd(512, '\0')), Buffer.from('12345')]) },
  {
    name: 'old',
    flag: 'S',
    content: 'abcde',
    edit: (header) => {
      header.write('ustar  \0', 257);
      header.write('00000001000\x0000000000005\0', 386);
      header.write('00000002000\0', 483);
    },
  },
  { name: 'last', content: 'x' },
);

test('the tar that is changed below is whole', async () => {
  expect(await read(rich, layerType)).toBe(6);
});

test('random bytes end in a result', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.constantFrom(...kinds), async (bytes, kind) => {
      await read(Buffer.from(bytes), kind);
    }),
    { numRuns: 300 },
  );
});

const change = fc.record({
  at: fc.nat({ max: rich.length - 1 }),
  bytes: fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 16 }),
    fc
      .constantFrom('-1', '99999999999', '\xff\xff\xff\xff', '77777777777', '\0', ' ', '\n')
      .map((text) => Buffer.from(text, 'latin1')),
  ),
});

/** Puts the checksums right again, for a change that only a checksum stops is no test of what comes after it. */
function mended(tar: Buffer): Buffer {
  for (let at = 0; at + 512 <= tar.length; at += 512) {
    const block = tar.subarray(at, at + 512);
    if (block.toString('latin1', 257, 262) !== 'ustar') continue;
    block.fill(' ', 148, 156);
    block.write(
      `${block
        .reduce((total, byte) => total + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
  }
  return tar;
}

test('a tar that is changed anywhere ends in a result, with checksums put right or not, cut or not', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      fc.nat({ max: rich.length }),
      fc.constantFrom(...kinds),
      async (changes, mend, cut, kind) => {
        const tar = Buffer.from(rich);
        for (const { at, bytes } of changes) tar.set(bytes.subarray(0, tar.length - at), at);
        const whole = mend ? mended(tar) : tar;
        const bytes = cut % 4 === 0 ? whole.subarray(0, cut) : whole;
        await read(
          kind.endsWith('gzip') ? gzipSync(bytes) : kind.endsWith('zstd') ? zstdCompressSync(bytes) : bytes,
          kind,
        );
      },
    ),
    { numRuns: 1500 },
  );
}, 60_000);

test('compressed bytes that are changed anywhere end in a result', async () => {
  const [gzip, zstd] = [
    gzipSync(rich),
    Buffer.concat([zstdCompressSync(rich.subarray(0, 900)), zstdCompressSync(rich.subarray(900))]),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 5 }),
      async (zipped, changes) => {
        const bytes = Buffer.from(zipped ? gzip : zstd);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        await read(bytes, `${layerType}+${zipped ? 'gzip' : 'zstd'}`);
      },
    ),
    { numRuns: 500 },
  );
}, 60_000);

test('a bomb of a gigabyte that ends at a limit costs little memory', async () => {
  const part = zstdCompressSync(Buffer.alloc(64 << 20));
  const bomb = Buffer.concat([zstdCompressSync(tarEntry({ name: 'a', size: 2 ** 30 })), ...Array(16).fill(part)]);
  const before = process.memoryUsage().rss;
  const store = new MemoryStore();
  const layer = store.put(bomb, `${layerType}+zstd`);
  const limits = { ...layerLimits, ratioFrom: 512 << 20 };
  const result = await readLayer(store, repository, layer, () => undefined, signal, limits);
  expect(result).toMatchObject({ ok: false, failure: { message: expect.stringContaining('a bomb') } });
  expect(process.memoryUsage().rss - before).toBeLessThan(300 << 20);
}, 60_000);
