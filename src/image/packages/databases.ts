// Which files of an image are package databases, and all packages of those that it has.
import { ok, type Result } from '../../failure.ts';
import { readApkInstalled } from './apk.ts';
import { readDpkgFiles, readDpkgStatus } from './dpkg.ts';
import type { InstalledPackage } from './package.ts';
import { readRpmBdb } from './rpm-bdb.ts';
import { readRpmNdb } from './rpm-ndb.ts';
import { readRpmSqlite } from './rpm-sqlite.ts';

export type DatabaseKind = 'dpkg' | 'apk' | 'rpm';

export interface ImagePackages {
  /** Those that were found; none where the image has no package manager, as one from scratch. */
  databases: DatabaseKind[];
  packages: Omit<InstalledPackage, 'files'>[];
  /** Paths that a package has put there, as its database writes them: /bin/sh may lie in /usr/bin (see isOwned). */
  owned: Set<string>;
}

/** status.d: packages of images that have no dpkg (distroless), a file each; beside them lie lists of checksums. */
const dpkgFile = /^\/var\/lib\/dpkg\/(?:status|status\.d\/[!-.0-~]+(?<!\.md5sums))$/;
const dpkgFileList = /^\/var\/lib\/dpkg\/(?:info\/[!-.0-~]+\.list|status\.d\/[!-.0-~]+\.md5sums)$/;
/** The second since apk-tools 3, where /lib is a link to /usr/lib. */
const apkFiles = ['/lib/apk/db/installed', '/usr/lib/apk/db/installed'];
/** In the order of age, the newest first; /var/lib/rpm is often a link to another of them. */
const rpmFolders = ['/usr/lib/sysimage/rpm', '/usr/share/rpm', '/var/lib/rpm'];
/** One a backend of rpm; a database that was converted may have left the older file behind. */
const rpmFiles = ['rpmdb.sqlite', 'Packages.db', 'Packages'];
const rpmPaths = rpmFolders.flatMap((folder) => rpmFiles.map((name) => `${folder}/${name}`));
const rpmLogs = rpmFolders.map((folder) => `${folder}/rpmdb.sqlite-wal`);
const others = new Set([...apkFiles, ...rpmPaths, ...rpmLogs]);

/** Whether readPackages wants the content of the file at this path. */
export function isPackageDatabase(path: string): boolean {
  return dpkgFile.test(path) || dpkgFileList.test(path) || others.has(path);
}

/** Whether a file of the image is some package's; in an image whose /bin is a link to /usr/bin, either name is meant. */
export function isOwned({ owned }: Pick<ImagePackages, 'owned'>, path: string): boolean {
  return owned.has(path) || (path.startsWith('/usr/') && owned.has(path.slice('/usr'.length)));
}

/** Packages of all databases among an image's files, by their paths from the image's root. */
export async function readPackages(files: ReadonlyMap<string, Uint8Array>): Promise<Result<ImagePackages>> {
  const found: ImagePackages = { databases: [], packages: [], owned: new Set() };
  for (const [path, bytes] of files) {
    if (dpkgFileList.test(path)) for (const owned of readDpkgFiles(bytes)) found.owned.add(owned);
    if (!dpkgFile.test(path)) continue;
    const read = readDpkgStatus(bytes);
    if (!read.ok) return at(read, path);
    add(found, 'dpkg', read.value);
  }
  for (const path of apkFiles) {
    const bytes = files.get(path);
    if (bytes === undefined) continue;
    const read = readApkInstalled(bytes);
    if (!read.ok) return at(read, path);
    add(found, 'apk', read.value);
  }
  // Tools that rpm isn't installed by can leave an empty file: no database.
  const path = rpmPaths.find((one) => (files.get(one)?.length ?? 0) > 0);
  const bytes = path === undefined ? undefined : files.get(path);
  if (path !== undefined && bytes !== undefined) {
    const read = await readRpm(path, bytes, files.get(`${path}-wal`));
    if (!read.ok) return at(read, path);
    add(found, 'rpm', read.value);
  }
  return ok(found);
}

async function readRpm(
  path: string,
  bytes: Uint8Array,
  wal: Uint8Array | undefined,
): Promise<Result<InstalledPackage[]>> {
  if (path.endsWith('.sqlite')) return readRpmSqlite(bytes, wal);
  return path.endsWith('.db') ? readRpmNdb(bytes) : readRpmBdb(bytes);
}

function add(found: ImagePackages, kind: DatabaseKind, packages: InstalledPackage[]): void {
  if (!found.databases.includes(kind)) found.databases.push(kind);
  for (const { files, ...one } of packages) {
    found.packages.push(one);
    for (const path of files) found.owned.add(path);
  }
}

function at(result: Extract<Result<never>, { ok: false }>, path: string): Result<never> {
  const { failure } = result;
  const named = 'message' in failure && failure.where === undefined ? { ...failure, where: path } : failure;
  return { ok: false, failure: named };
}
