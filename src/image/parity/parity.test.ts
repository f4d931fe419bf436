// Images of two platforms with deliberate differences, in the embedded registry: each difference is found, and nothing else is.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { noise, value } from '../../registry/testing.ts';
import { comparePlatforms, compareReleases, type ParityReport } from './parity.ts';
import { type MadeImage, type Rig, startRig, type TarEntry } from './testing.ts';

const signal = new AbortController().signal;
let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

interface Debian {
  platform?: string;
  packages?: [name: string, version: string, architecture?: string][];
  config?: object;
  files?: TarEntry[];
}

const baseFiles: [string, string] = ['base-files', '12.4+deb12u5'];

function image({ platform = 'linux/amd64', packages = [baseFiles], config = {}, files = [] }: Debian): MadeImage {
  const own = platform.replace('linux/', '');
  const status = packages
    .map(
      ([name, version, architecture = own]) =>
        `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\n`,
    )
    .join('\n');
  return { platform, config, layers: [[['var/lib/dpkg/status', status], ...files]] };
}

async function platforms(amd64: Debian, arm64: Debian): Promise<ParityReport> {
  const reference = await rig.push('x', [image(amd64), image({ platform: 'linux/arm64', ...arm64 })]);
  return value(await comparePlatforms({ store: rig.client, reference }, [], signal));
}

/** Area, name and values of what differs, sizes aside. */
function found(report: ParityReport, matters: boolean): unknown[] {
  return [...report.platforms, ...report.comparisons.flatMap(({ differences }) => differences)]
    .filter((one) => one.area !== 'size' && one.matters === matters)
    .map(({ area, name, values }) => [area, name, ...values]);
}

test('the same image on two platforms is alike, though every name says its architecture', async () => {
  const files = (triplet: string, loader: string, arch: string): TarEntry[] => [
    [`usr/lib/${triplet}/libz.so.1`, arch],
    [`usr/lib/${triplet}/libz.so`, undefined, { type: 'symlink', linkname: `/usr/lib/${triplet}/libz.so.1` }],
    [`lib/${loader}`, arch.repeat(9)],
    [`opt/tool-linux-${arch}`, arch],
    [`var/cache/ldconfig/${arch}`, arch],
    [`usr/lib/python3/__pycache__/${arch}.cpython-311.pyc`, arch],
  ];
  const report = await platforms(
    {
      config: { Env: ['LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libj.so'], Cmd: ['a'] },
      packages: [baseFiles, ['binutils-x86-64-linux-gnu', '2.40-2']],
      files: [['lib64/', undefined], ...files('x86_64-linux-gnu', 'ld-linux-x86-64.so.2', 'amd64')],
    },
    {
      config: { Env: ['LD_PRELOAD=/usr/lib/aarch64-linux-gnu/libj.so'], Cmd: ['a'] },
      packages: [['binutils-aarch64-linux-gnu', '2.40-2'], baseFiles],
      files: files('aarch64-linux-gnu', 'ld-linux-aarch64.so.1', 'arm64'),
    },
  );
  expect(found(report, true)).toEqual([]);
  expect(found(report, false)).toEqual([
    ['environment', 'LD_PRELOAD', '/usr/lib/x86_64-linux-gnu/libj.so', '/usr/lib/aarch64-linux-gnu/libj.so'],
  ]);
  expect(report.comparisons[0]?.files.notEverywhere).toEqual([]);
  expect(report.alike).toBe(true);
});

test('packages: missing, of another version, of another architecture; a binNMU and a library of one architecture are only told', async () => {
  const report = await platforms(
    {
      packages: [
        ['curl', '7.88.1-10+deb12u5'],
        ['jq', '1.6-2.1'],
        ['bash', '5.2.15-2+b7'],
        ['libquadmath0', '12.2.0-14'],
        ['tzdata', '2024a', 'all'],
        ['libc6', '2.36-9'],
      ],
    },
    {
      packages: [
        ['curl', '7.88.1-10+deb12u4'],
        ['bash', '5.2.15-2+b2'],
        ['tzdata', '2024a', 'all'],
        ['libc6', '2.36-9'],
        ['libc6', '2.36-9', 'amd64'],
      ],
    },
  );
  expect(found(report, true)).toEqual([
    ['package', 'curl', '7.88.1-10+deb12u5', '7.88.1-10+deb12u4'],
    ['package', 'jq', '1.6-2.1', undefined],
    ['package', 'libc6:amd64', undefined, '2.36-9'],
  ]);
  expect(found(report, false)).toEqual([
    ['package', 'bash', '5.2.15-2+b7', '5.2.15-2+b2'],
    ['package', 'libquadmath0', '12.2.0-14', undefined],
  ]);
  expect(report.alike).toBe(false);
});

test('everything of the config that an engine acts on is compared; the time of the build is only told', async () => {
  const created = 'org.opencontainers.image.created';
  const report = await platforms(
    {
      config: {
        Env: ['MODE=fast', 'EMPTY=', 'SAME=1'],
        Entrypoint: ['/init'],
        Cmd: ['run'],
        User: 'app',
        WorkingDir: '/app',
        ExposedPorts: { '80/tcp': {}, '53': {} },
        Volumes: { '/data': {} },
        StopSignal: 'SIGINT',
        Labels: { [created]: '2026-01-01', tier: 'one' },
      },
    },
    {
      config: {
        Env: ['SAME=1', 'MODE=slow'],
        Entrypoint: null,
        Cmd: ['serve'],
        WorkingDir: '/',
        ExposedPorts: { '53/tcp': {} },
        Labels: { [created]: '2026-01-02', tier: 'two' },
      },
    },
  );
  expect(found(report, true)).toEqual([
    ['environment', 'MODE', 'fast', 'slow'],
    ['environment', 'EMPTY', '', undefined],
    ['entrypoint', '', '["/init"]', undefined],
    ['command', '', '["run"]', '["serve"]'],
    ['user', '', 'app', undefined],
    ['working folder', '', '/app', undefined],
    ['port', '80/tcp', 'exposed', undefined],
    ['volume', '/data', 'declared', undefined],
    ['stop signal', '', 'SIGINT', undefined],
    ['label', 'tier', 'one', 'two'],
  ]);
  expect(found(report, false)).toEqual([['label', created, '2026-01-01', '2026-01-02']]);
});

test('files: another type, mode, owner or link, or empty on one platform, matters; those of one platform are counted', async () => {
  const list: TarEntry = ['var/lib/dpkg/info/base-files.list', '/.\n/usr\n/usr/share\n/usr/share/only-amd64-has\n'];
  const report = await platforms(
    {
      files: [
        list,
        ['usr/share/only-amd64-has', '1'],
        ['app/', undefined],
        ['app/run', 'x', { mode: 0o755 }],
        ['app/owned', 'x', { uid: 1000, gid: 1000 }],
        ['app/link', undefined, { type: 'symlink', linkname: 'run' }],
        ['app/current', undefined, { type: 'symlink', linkname: 'v1' }],
        ['app/data', 'downloaded'],
        ['app/plugins/', undefined],
        ['app/plugins/a', '1'],
        ['app/plugins/b', '2'],
      ],
    },
    {
      files: [
        list,
        ['usr/share/', undefined],
        ['app/', undefined],
        ['app/run', 'xyz', { mode: 0o644 }],
        ['app/owned', 'x'],
        ['app/link', 'x'],
        ['app/current', undefined, { type: 'symlink', linkname: 'v2' }],
        ['app/data', ''],
      ],
    },
  );
  expect(found(report, true)).toEqual([
    ['file', '/app/current', '→ v1', '→ v2'],
    ['file', '/app/data', '10 bytes', 'empty'],
    ['file', '/app/link', 'symlink', 'file'],
    ['file', '/app/owned', 'owner 1000:1000', 'owner 0:0'],
    ['file', '/app/run', 'mode 0755', 'mode 0644'],
  ]);
  expect(report.comparisons[0]?.files.notEverywhere).toEqual([
    { columns: ['linux/amd64'], ofPackages: false, count: 3, first: [{ path: '/app/plugins', within: 2 }] },
    { columns: ['linux/amd64'], ofPackages: true, count: 1, first: [{ path: '/usr/share/only-amd64-has', within: 0 }] },
  ]);
});

test('twice the size is a difference, somewhat larger is not', async () => {
  const bytes = (size: number): TarEntry[] => [['app/data', noise(size)]];
  const larger = await platforms({ files: bytes(150_000) }, { files: bytes(100_000) });
  expect(larger.alike).toBe(true);
  const twice = await platforms({ files: bytes(250_000) }, { files: bytes(100_000) });
  expect(twice.alike).toBe(false);
  expect(twice.comparisons[0]?.differences.map(({ area }) => area)).toEqual(['size']);
});

test('an image of one platform has nothing to be compared with', async () => {
  const reference = await rig.push('x', [image({})]);
  expect(await comparePlatforms({ store: rig.client, reference }, [], signal)).toMatchObject({
    ok: false,
    failure: { kind: 'verification', help: expect.stringContaining('--against') },
  });
});

test('a release and the one before: versions and labels of the release, platforms that came and went', async () => {
  const release = (version: string, tag: string, more: string) =>
    rig.push(tag, [
      image({
        packages: [baseFiles, ['curl', version]],
        config: { Labels: { 'org.opencontainers.image.version': tag, tier: 'one' } },
      }),
      image({ platform: more }),
    ]);
  const before = await release('7.88.1-10+deb12u4', 'v1', 'linux/386');
  const now = await release('7.88.1-10+deb12u5', 'v2', 'linux/arm64');
  const store = rig.client;
  const report = value(await compareReleases({ store, reference: now }, { store, reference: before }, [], signal));
  expect(found(report, true)).toEqual([
    ['platform', 'linux/386', 'there', undefined],
    ['package', 'curl', '7.88.1-10+deb12u4', '7.88.1-10+deb12u5'],
  ]);
  expect(found(report, false)).toEqual([
    ['platform', 'linux/arm64', undefined, 'there'],
    ['label', 'org.opencontainers.image.version', 'v1', 'v2'],
  ]);
  expect(report.comparisons.map(({ platform }) => platform)).toEqual(['linux/amd64']);
  const same = value(await compareReleases({ store, reference: now }, { store, reference: now }, [], signal));
  expect(same.alike).toBe(true);
  expect(found(same, false)).toEqual([]);
});

test('a database that can’t be read is a failure that says of which image and which file', async () => {
  const broken: MadeImage = {
    platform: 'linux/arm64',
    layers: [[['var/lib/rpm/Packages', 'no database'.repeat(100)]]],
  };
  const reference = await rig.push('x', [image({}), broken]);
  expect(await comparePlatforms({ store: rig.client, reference }, [], signal)).toMatchObject({
    ok: false,
    failure: { kind: 'verification', where: expect.stringMatching(/team\/app@sha256:\w+ \/var\/lib\/rpm\/Packages$/) },
  });
});
