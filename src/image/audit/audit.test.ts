// Images whose programs are right and wrong, layer over layer, from a map and from the embedded registry.
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRegistryClient } from '../../registry/client.ts';
import { startEmbeddedRegistry } from '../../registry/embedded.ts';
import { opener, value } from '../../registry/testing.ts';
import { sha256 } from '../digest.ts';
import { layerType, MemoryStore, type TestEntry, tarOf } from '../layers/testing.ts';
import { type Descriptor, type Manifest, mediaTypes } from '../oci.ts';
import { type Platform, parsePlatform } from '../platform.ts';
import { auditImage } from './audit.ts';
import { createAuditCache } from './cache.ts';
import { formatFindings } from './format.ts';
import { amd64, arm64, armHard, armSoft, elf, i386, pe } from './testing.ts';

const repository = { registry: 'r.example', repository: 'team/app' };
const signal = new AbortController().signal;
const arm: Platform = { os: 'linux', architecture: 'arm64' };

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function imageOf(layers: Descriptor[]): Manifest {
  const config = { mediaType: mediaTypes.ociConfig, digest: sha256('{}'), size: 2 };
  return { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
}

async function audit(layers: TestEntry[][], platform = arm, allow: string[] = [], name = 'cache') {
  const store = new MemoryStore();
  const descriptors = layers.map((entries) => store.put(tarOf(...entries)));
  const options = { allow, cache: createAuditCache(join(folder, name)) };
  const report = value(await auditImage(store, repository, imageOf(descriptors), platform, options, signal));
  return { ...report, paths: report.findings.map(({ path }) => path), descriptors };
}

const good = { name: 'bin/sh', content: arm64 };
const wrong = { name: 'usr/bin/tool', content: amd64 };

describe('the final file system is judged', () => {
  test('a program of another machine is found, with its layer, what it is and what belongs there', async () => {
    const { findings, binaries, descriptors } = await audit([
      [good],
      [wrong, { name: 'etc/motd', content: 'x'.repeat(99) }],
    ]);
    expect(findings).toEqual([
      {
        path: '/usr/bin/tool',
        layer: descriptors[1]?.digest,
        problem: 'machine',
        found: 'ELF 64-bit x86-64',
        expected: 'ELF 64-bit AArch64',
      },
    ]);
    expect(binaries).toBe(2);
  });

  test.each<[string, TestEntry[]]>([
    ['deletes it', [{ name: 'usr/bin/.wh.tool' }]],
    ['deletes its folder', [{ name: 'usr/.wh.bin' }]],
    ['empties its folder', [{ name: 'usr/bin/', flag: '5' }, { name: 'usr/bin/.wh..wh..opq' }]],
    ['empties the root', [{ name: '.wh..wh..opq' }]],
    ['replaces it by the right one', [{ name: 'usr/bin/tool', content: arm64 }]],
    ['replaces it by a script', [{ name: 'usr/bin/tool', content: '#!/bin/sh' }]],
    ['replaces it by a link', [{ name: 'usr/bin/tool', flag: '2', linkName: '/bin/sh' }]],
    ['replaces it by a folder', [{ name: 'usr/bin/tool/', flag: '5' }]],
    ['replaces its folder by a link', [{ name: 'usr', flag: '2', linkName: 'other' }]],
  ])('a program does not count where a later layer %s', async (_name, later) => {
    expect((await audit([[wrong], later])).paths).toEqual([]);
    // The other way round it is on top.
    expect((await audit([later, [wrong]])).paths).toEqual(['/usr/bin/tool']);
  });

  test('a layer that empties a folder and fills it anew counts with what it fills it with', async () => {
    const later = [
      { name: 'usr/bin/.wh..wh..opq' },
      { name: 'usr/bin/other', content: amd64 },
      { name: 'usr/bin/.wh.other' },
    ];
    expect((await audit([[wrong], later])).paths).toEqual(['/usr/bin/other']);
  });

  test('a name that a layer has twice is what it is last', async () => {
    expect((await audit([[wrong, { name: 'usr/bin/tool', content: arm64 }]])).paths).toEqual([]);
    expect((await audit([[{ name: 'usr/bin/tool', content: arm64 }, wrong]])).paths).toEqual(['/usr/bin/tool']);
  });

  test('hard links are one program, which is there as long as one of its names is', async () => {
    const links = [wrong, { name: 'usr/bin/alias', flag: '1', linkName: 'usr/bin/tool' }];
    expect(await audit([links])).toMatchObject({ paths: ['/usr/bin/tool'], binaries: 1 });
    expect((await audit([links, [{ name: 'usr/bin/.wh.tool' }]])).paths).toEqual(['/usr/bin/alias']);
    expect((await audit([links, [{ name: 'usr/bin/.wh.tool' }, { name: 'usr/bin/.wh.alias' }]])).paths).toEqual([]);
  });

  test('what is data, allowed or not distributable is noted and stops nothing', async () => {
    const { findings, notes } = await audit(
      [
        [
          { name: 'usr/lib/python3/t32.exe', content: pe(0x14c, { wide: false }) },
          { name: 'usr/local/go/src/debug/elf/testdata/x', content: amd64 },
          { name: 'opt/vendor/amd64/lib.so', content: amd64 },
          { name: 'opt/vendor/386/lib.so', content: i386 },
          { name: 'usr/lib/bpf/probe.o', content: elf({ machine: 247, type: 1 }) },
        ],
      ],
      arm,
      ['/opt/vendor/**'],
    );
    expect(findings).toEqual([]);
    expect(notes.map(({ why, count }) => [why.split(',')[0], count])).toEqual([
      ['programs of other systems (Windows', 1],
      ['data of tests', 1],
      ['allowed by the config', 2],
      ['object files and core dumps', 1],
    ]);
    expect(notes[2]?.examples).toEqual([
      '/opt/vendor/amd64/lib.so: ELF 64-bit x86-64',
      '/opt/vendor/386/lib.so: ELF 32-bit Intel 80386',
    ]);
    const store = new MemoryStore();
    const foreign = { ...store.put(tarOf(wrong), `${layerType}+gzip`), urls: ['https://elsewhere.example/'] };
    const options = { allow: [], cache: createAuditCache(folder) };
    const report = value(await auditImage(store, repository, imageOf([foreign]), arm, options, signal));
    expect(report).toMatchObject({ findings: [], layersRead: 0, layersKnown: 0, bytesRead: 0 });
    expect(report.notes[0]?.why).toContain('not distributable');
  });

  test('a soft-float library in an image of armhf is found by the loader of that', async () => {
    const armhf = parsePlatform('linux/arm/v7');
    const base = [
      { name: 'lib/ld-linux-armhf.so.3', flag: '2', linkName: 'arm-linux-gnueabihf/ld.so' },
      { name: 'bin/sh', content: armHard },
    ];
    const { findings } = await audit([base, [{ name: 'usr/lib/libold.so', content: armSoft }]], value(armhf));
    expect(findings).toMatchObject([
      {
        path: '/usr/lib/libold.so',
        problem: 'float-abi',
        found: 'ELF 32-bit ARM soft-float',
        expected: 'ELF 32-bit ARM hard-float',
      },
    ]);
  });
});

describe('layers that are known are not read again', () => {
  const store = () => {
    const made = new MemoryStore();
    const base = made.put(
      tarOf(good, wrong, { name: 'lib/ld-linux-aarch64.so.1', content: arm64 }, { name: 'a/.wh..wh..opq' }),
    );
    return { made, base, top: made.put(tarOf({ name: 'usr/bin/.wh.tool' })), other: made.put(tarOf({ name: 'x' })) };
  };

  test('their facts come from the folder, for any platform, and say the same', async () => {
    const { made, base, top } = store();
    const run = (layers: Descriptor[], platform: Platform, to = 'cache') =>
      auditImage(
        made,
        repository,
        imageOf(layers),
        platform,
        { allow: [], cache: createAuditCache(join(folder, to)) },
        signal,
      );
    const first = value(await run([base], arm));
    expect(first).toMatchObject({ layersRead: 1, layersKnown: 0, bytesRead: base.size });
    const again = value(await run([base], arm));
    expect(again).toEqual({ ...first, layersRead: 0, layersKnown: 1, bytesRead: 0 });
    const amd = { os: 'linux', architecture: 'amd64' };
    const [known, fresh] = [
      value(await run([base, top, base], amd)),
      value(await run([base, top, base], amd, 'fresh')),
    ];
    expect(known.findings).toEqual(fresh.findings);
    expect(known).toMatchObject({ layersRead: 1, layersKnown: 1, bytesRead: top.size });
    expect(await readdir(join(folder, 'cache'))).toHaveLength(2);
  });

  test('a file that is damaged or of another version is as none, and replaced', async () => {
    const { made, base } = store();
    const run = () =>
      auditImage(made, repository, imageOf([base]), arm, { allow: [], cache: createAuditCache(folder) }, signal);
    await run();
    const [name = ''] = await readdir(folder);
    const whole = await readFile(join(folder, name), 'utf8');
    for (const text of [whole.slice(0, 50), '{"version":0}', 'null', whole.replace('"elf"', '"tar"')]) {
      await writeFile(join(folder, name), text);
      expect(value(await run())).toMatchObject({ layersRead: 1, findings: [{ path: '/usr/bin/tool' }] });
      expect(await readFile(join(folder, name), 'utf8')).toBe(whole);
    }
  });

  test('a folder that can not be written stops no audit', async () => {
    const { made, base } = store();
    await writeFile(join(folder, 'file'), '');
    const options = { allow: [], cache: createAuditCache(join(folder, 'file')) };
    expect(await auditImage(made, repository, imageOf([base]), arm, options, signal)).toMatchObject({ ok: true });
  });

  test('images that are audited at the same time read their common layer once', async () => {
    const { made, base, top, other } = store();
    const options = { allow: [], cache: createAuditCache(folder) };
    const reports = await Promise.all(
      [[base], [base, top], [base, other]].map((layers) =>
        auditImage(made, repository, imageOf(layers), arm, options, signal),
      ),
    );
    expect(made.reads.get(base.digest)).toBe(1);
    expect(reports.map((report) => value(report).layersRead + value(report).layersKnown)).toEqual([1, 2, 2]);
  });

  test('an audit that was cancelled takes no other down that waits for its layer', async () => {
    const { made, base } = store();
    const options = { allow: [], cache: createAuditCache(folder) };
    const stop = new AbortController();
    // Whichever of the two looks into the cache first is the one that reads.
    const start = (given: AbortSignal) => auditImage(made, repository, imageOf([base]), arm, options, given);
    const audits = [start(signal), start(stop.signal), start(signal)];
    stop.abort();
    const [before, cancelled, after] = await Promise.all(audits);
    expect(cancelled).toEqual({ ok: false, failure: { kind: 'cancelled' } });
    for (const audit of [before, after]) expect(audit).toMatchObject({ ok: true, value: { findings: [{}] } });
  });
});

test('a layer that is missing or damaged fails the audit by its name', async () => {
  const store = new MemoryStore();
  const options = { allow: [], cache: createAuditCache(folder) };
  const [whole, damaged] = [store.put(tarOf(good)), store.put(Buffer.from('no gzip'), `${layerType}+gzip`)];
  const missing = { ...whole, digest: sha256('gone') };
  expect(await auditImage(store, repository, imageOf([whole, missing]), arm, options, signal)).toMatchObject({
    ok: false,
    failure: { kind: 'registry', status: 404 },
  });
  expect(await auditImage(store, repository, imageOf([damaged, whole]), arm, options, signal)).toMatchObject({
    ok: false,
    failure: { kind: 'verification', where: expect.stringContaining(damaged.digest) },
  });
});

test('findings are told in ten lines at most, with what to write to allow them', async () => {
  const many = Array.from({ length: 12 }, (_, nth) => ({ name: `opt/[v1]/bin/tool${nth}`, content: amd64 }));
  const report = await audit([many]);
  const lines = formatFindings('team/app:1', arm, report.findings);
  const layer = report.descriptors[0]?.digest.slice(0, 19);
  expect(lines[0]).toBe('team/app:1: 12 programs do not belong in an image of linux/arm64');
  expect(lines[1]).toBe(`  /opt/[v1]/bin/tool0: ELF 64-bit x86-64, expected ELF 64-bit AArch64 (layer ${layer})`);
  expect(lines[11]).toBe('  and 2 more');
  expect(lines[12]).toMatch(/ audit: \{ allow: \["\/opt\/\\\\\[v1\\\\\]\/bin\/\*\*"\] \}$/);
  expect(lines).toHaveLength(13);
  const glob = '/opt/\\[v1\\]/bin/**';
  expect((await audit([many], arm, [glob])).findings).toEqual([]);
  const one = formatFindings('team/app:1', arm, report.findings.slice(0, 1));
  expect(one).toHaveLength(3);
  expect(one[0]).toContain('a program does not belong');
  expect(formatFindings('team/app:1', arm, [])).toEqual([]);
  expect(report).toMatchObject({ binaries: 12, layersRead: 1, layersKnown: 0 });
});

describe('real programs from a registry', () => {
  const cached = join(import.meta.dirname, '../../../.cache/busybox');
  const busybox = (name: string) => readFileSync(join(cached, `busybox-${name}`));
  const machines: Record<string, string> = { x64: 'amd64', arm64: 'arm64' };
  const here = machines[process.arch];

  async function auditPushed(layers: Buffer[], platform: Platform) {
    const registry = value(await startEmbeddedRegistry({ root: join(folder, 'registry') }));
    try {
      const client = createRegistryClient({ plainHttp: () => true });
      const reference = { registry: registry.address, repository: 'team/app' };
      const config = Buffer.from('{}');
      const blobs = [config, ...layers];
      for (const bytes of blobs) {
        value(await client.putBlob(reference, { digest: sha256(bytes), size: bytes.length }, opener(bytes), signal));
      }
      const manifest = imageOf(
        layers.map((bytes) => ({ mediaType: `${layerType}+gzip`, digest: sha256(bytes), size: bytes.length })),
      );
      const bytes = Buffer.from(JSON.stringify(manifest));
      const pushed = value(
        await client.putManifest({ ...reference, digest: sha256(bytes) }, bytes, mediaTypes.ociManifest, signal),
      );
      const options = { allow: [], cache: createAuditCache(join(folder, 'cache')) };
      return value(await auditImage(client, reference, pushed, platform, options, signal));
    } finally {
      await registry.close();
    }
  }

  test.skipIf(here === undefined)(
    'the program that runs this test belongs to this machine and to no other',
    async () => {
      // All of it takes long to compress, and its header is what is looked at.
      const start = readFileSync(process.execPath).subarray(0, 1 << 20);
      const layer = gzipSync(tarOf({ name: 'usr/bin/node', content: start }));
      const right = await auditPushed([layer], { os: 'linux', architecture: here ?? '' });
      expect(right).toMatchObject({ findings: [], binaries: 1, layersRead: 1, bytesRead: layer.length });
      const wrong = await auditPushed([layer], { os: 'linux', architecture: 's390x' });
      expect(wrong).toMatchObject({ findings: [{ path: '/usr/bin/node', problem: 'machine' }], layersKnown: 1 });
    },
  );

  test.skipIf(!existsSync(join(cached, 'busybox-arm64')))('busybox of each machine, pushed and read back', async () => {
    const layers = ['amd64', '386', 'arm64'].map((name) =>
      gzipSync(tarOf({ name: `bin/${name}`, content: busybox(name) })),
    );
    expect((await auditPushed(layers, arm)).findings).toMatchObject([
      { path: '/bin/amd64', problem: 'machine', found: 'ELF 64-bit x86-64' },
      { path: '/bin/386', problem: 'machine', found: 'ELF 32-bit Intel 80386' },
    ]);
    expect((await auditPushed(layers, { os: 'linux', architecture: 'amd64' })).findings).toMatchObject([
      { path: '/bin/386', problem: 'bits' },
      { path: '/bin/arm64', problem: 'machine' },
    ]);
  });
});
