// The package databases, each as its package manager writes it; what is in them, its package manager has said (testdata/README.md).
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Result } from '../../failure.ts';
import { readApkInstalled } from './apk.ts';
import { isOwned, isPackageDatabase, readPackages } from './databases.ts';
import { readDpkgFiles, readDpkgStatus } from './dpkg.ts';
import type { InstalledPackage } from './package.ts';
import { readRpmBdb } from './rpm-bdb.ts';
import { readRpmNdb } from './rpm-ndb.ts';
import { readRpmSqlite } from './rpm-sqlite.ts';

const folder = join(import.meta.dirname, 'testdata');

function testdata(name: string): Buffer {
  const bytes = readFileSync(join(folder, name));
  return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}

function packagesOf(result: Result<InstalledPackage[]>): InstalledPackage[] {
  if (!result.ok) throw new Error(JSON.stringify(result.failure));
  return result.value;
}

function lines(name: string): string[] {
  return testdata(name).toString().trimEnd().split('\n');
}

const readers: [file: string, read: (bytes: Uint8Array) => Promise<Result<InstalledPackage[]>>][] = [
  ['rpmdb.sqlite.gz', async (bytes) => readRpmSqlite(bytes, undefined)],
  ['Packages.db.gz', async (bytes) => readRpmNdb(bytes)],
  ['Packages.gz', async (bytes) => readRpmBdb(bytes)],
  ['Packages-big-endian.gz', async (bytes) => readRpmBdb(bytes)],
];

describe.each(readers)('rpm: %s', (file, read) => {
  test('the packages, their versions and their files are those that rpm lists', async () => {
    const packages = packagesOf(await read(testdata(file)));
    const listed = packages.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
    expect(listed.sort()).toEqual(lines('rpm-qa.txt'));
    expect(packages.flatMap(({ files }) => files).sort()).toEqual(lines('rpm-qal.txt'));
  });

  test('a file that is cut off is refused, wherever it is cut', async () => {
    const whole = testdata(file);
    for (const part of [0, 0.01, 0.3, 0.6, 0.9]) {
      const result = await read(whole.subarray(0, Math.floor(whole.length * part)));
      if (result.ok) expect(result.value).toHaveLength(lines('rpm-qa.txt').length);
      else expect(result.failure).toMatchObject({ kind: 'verification', message: expect.stringContaining('(') });
    }
  });
});

test.each([
  ['Packages.db.gz', readRpmNdb],
  ['Packages.gz', readRpmBdb],
])('bytes of %s that are changed are read or refused, and nothing is thrown', (file, read) => {
  const whole = testdata(file);
  const change = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(change, (changes) => {
      const bytes = Buffer.from(whole);
      for (const [at, byte] of changes) bytes[at] = byte;
      expect(typeof read(bytes).ok).toBe('boolean');
    }),
  );
});

test('what rpm has written to the log only is seen: a package that was removed there is gone', async () => {
  const { DatabaseSync } = await import('node:sqlite');
  const work = await mkdtemp(join(tmpdir(), 'splitbuild-wal-'));
  try {
    const file = join(work, 'rpmdb.sqlite');
    await writeFile(file, testdata('rpmdb.sqlite.gz'));
    const database = new DatabaseSync(file);
    database.exec('PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0');
    database.exec('DELETE FROM Packages WHERE hnum = 1');
    const left = database.prepare('SELECT count(*) AS count FROM Packages').get()?.count;
    const [bytes, wal] = [await readFile(file), await readFile(`${file}-wal`)];
    database.close();
    expect(packagesOf(await readRpmSqlite(bytes, wal))).toHaveLength(Number(left));
    expect(Number(left)).toBe(lines('rpm-qa.txt').length - 1);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});

test('a Node without SQLite is named, and the version that has it', async () => {
  const read = await readRpmSqlite(testdata('rpmdb.sqlite.gz'), undefined, () =>
    Promise.reject(new Error('no such module')),
  );
  expect(read).toMatchObject({
    ok: false,
    failure: {
      kind: 'system',
      message: expect.stringContaining(process.versions.node),
      help: expect.stringContaining('22.13'),
    },
  });
});

test('a database in which Packages is a view is not asked', async () => {
  const { DatabaseSync } = await import('node:sqlite');
  const work = await mkdtemp(join(tmpdir(), 'splitbuild-view-'));
  try {
    const file = join(work, 'db');
    const database = new DatabaseSync(file);
    database.exec("CREATE VIEW Packages AS SELECT 1 AS hnum, x'00' AS blob");
    database.close();
    const read = await readRpmSqlite(await readFile(file), undefined);
    expect(read).toMatchObject({ ok: false, failure: { message: expect.stringContaining('no table Packages') } });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
});

test('dpkg: packages whose files are there are installed, in the versions that dpkg-query prints', () => {
  const packages = packagesOf(readDpkgStatus(testdata('dpkg-status')));
  const expected = lines('dpkg-query.txt')
    .filter((line) => !/^(?:config-files|not-installed) /.test(line))
    .map((line) => line.replace(/^\S+ /, ''));
  const listed = packages.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`);
  expect(listed.sort()).toEqual(expected.sort());
});

test('dpkg: a file that is no database is refused, not read as one without packages', () => {
  expect(readDpkgStatus(Buffer.from('hello world\n'))).toMatchObject({ ok: false, failure: { kind: 'verification' } });
  expect(readDpkgStatus(Buffer.from(''))).toEqual({ ok: true, value: [] });
});

test('dpkg: lists of files and of checksums name the files of a package', () => {
  expect(readDpkgFiles(Buffer.from('/.\n/bin\n/bin/sh\n'))).toEqual(['/bin', '/bin/sh']);
  expect(readDpkgFiles(Buffer.from('d41d8cd98f00b204e9800998ecf8427e  usr/share/doc/x y\n'))).toEqual([
    '/usr/share/doc/x y',
  ]);
});

test('apk: packages with the files of each of their folders', () => {
  expect(packagesOf(readApkInstalled(testdata('apk-installed')))).toEqual([
    {
      name: 'musl',
      version: '1.2.5-r0',
      architecture: 'aarch64',
      files: ['/lib', '/lib/ld-musl-aarch64.so.1', '/lib/libc.musl-aarch64.so.1'],
    },
    {
      name: 'tzdata',
      version: '2024a-r1',
      architecture: 'noarch',
      files: ['/top', '/usr/share', '/usr/share/zoneinfo', '/usr/share/zoneinfo/UTC'],
    },
  ]);
  expect(readApkInstalled(Buffer.from('hello\n'))).toMatchObject({ ok: false });
});

test('an image of distroless has a file for each package, and lists of checksums beside them', async () => {
  const files = new Map([
    ['/var/lib/dpkg/status.d/base', Buffer.from('Package: base-files\nVersion: 12.4\nArchitecture: arm64\n')],
    ['/var/lib/dpkg/status.d/base.md5sums', Buffer.from('d41d8cd98f00b204e9800998ecf8427e  etc/issue\n')],
    ['/var/lib/dpkg/status.d/tzdata', Buffer.from('Package: tzdata\nVersion: 2024a-0+deb12u1\nArchitecture: all\n')],
  ]);
  for (const path of files.keys()) expect(isPackageDatabase(path)).toBe(true);
  expect(await readPackages(files)).toMatchObject({
    ok: true,
    value: {
      databases: ['dpkg'],
      packages: [
        { name: 'base-files', version: '12.4', architecture: 'arm64' },
        { name: 'tzdata', version: '2024a-0+deb12u1', architecture: 'all' },
      ],
      owned: new Set(['/etc/issue']),
    },
  });
});

test('of two databases of rpm the newer kind counts; an empty file is none', async () => {
  const files = new Map<string, Uint8Array>([
    ['/var/lib/rpm/rpmdb.sqlite', Buffer.alloc(0)],
    ['/var/lib/rpm/Packages', testdata('Packages.gz')],
  ]);
  expect(await readPackages(files)).toMatchObject({ ok: true, value: { databases: ['rpm'], packages: { length: 3 } } });
  files.set('/usr/lib/sysimage/rpm/Packages.db', Buffer.from('broken'));
  expect(await readPackages(files)).toMatchObject({
    ok: false,
    failure: { where: '/usr/lib/sysimage/rpm/Packages.db' },
  });
});

test('a file of /usr/bin is a package’s that has put it into /bin', () => {
  const owned = new Set(['/bin/sh', '/usr/bin/env']);
  expect(
    ['/usr/bin/sh', '/bin/sh', '/usr/bin/env', '/bin/env', '/usr/bin/mine'].map((path) => isOwned({ owned }, path)),
  ).toEqual([true, true, true, false, false]);
});
