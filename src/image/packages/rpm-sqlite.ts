// Reads `rpmdb.sqlite` of rpm since 4.16 (Fedora, RHEL 9, Azure Linux): a table of headers, read by Node's own SQLite.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fail, ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';
import { readRpmHeaders } from './rpm-header.ts';

const format = 'rpm (SQLite)';

/** `wal` is `rpmdb.sqlite-wal`, what was not yet carried over into the database when the image was made. */
export async function readRpmSqlite(
  bytes: Uint8Array,
  wal: Uint8Array | undefined,
  loadSqlite: () => Promise<typeof import('node:sqlite')> = () => import('node:sqlite'),
): Promise<Result<InstalledPackage[]>> {
  let sqlite: typeof import('node:sqlite');
  try {
    sqlite = await loadSqlite();
  } catch {
    return fail({
      kind: 'system',
      message: `the package database (${format}) can't be read by this Node, ${process.versions.node}`,
      help: 'use Node 22.13 or newer, which has SQLite built in',
    });
  }
  let folder: string | undefined;
  try {
    // SQLite reads files only; and a write-ahead log is applied to the copy here.
    folder = await mkdtemp(join(tmpdir(), 'splitbuild-rpmdb-'));
    const file = join(folder, 'rpmdb.sqlite');
    await writeFile(file, bytes);
    if (wal !== undefined && wal.length > 0) await writeFile(`${file}-wal`, wal);
    return readFile(sqlite, file);
  } catch (error) {
    return fail({
      kind: 'system',
      message: `no room for a copy of the package database (${format}): ${error instanceof Error ? error.message : error}`,
      where: tmpdir(),
      help: 'TMPDIR names another folder',
    });
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

function readFile(sqlite: typeof import('node:sqlite'), file: string): Result<InstalledPackage[]> {
  let database: InstanceType<typeof sqlite.DatabaseSync> | undefined;
  try {
    database = new sqlite.DatabaseSync(file);
    // The file is an image's: a view of the name could make SQLite compute what it likes, so only a table is read.
    database.exec('PRAGMA trusted_schema = OFF');
    const table = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'Packages'").get();
    if (table === undefined) return unreadable(format, 'it has no table Packages');
    return readRpmHeaders(blobs(database.prepare('SELECT blob FROM Packages ORDER BY hnum').iterate()));
  } catch (error) {
    return unreadable(format, error instanceof Error ? error.message : String(error));
  } finally {
    database?.close();
  }
}

function* blobs(rows: Iterable<Record<string, unknown>>): Generator<Result<Uint8Array>> {
  for (const { blob } of rows) {
    yield blob instanceof Uint8Array ? ok(blob) : unreadable(format, 'a header is not binary');
  }
}
