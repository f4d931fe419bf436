// Reads apk's database, /lib/apk/db/installed: paragraphs of one-letter fields (Alpine wiki, "Apk spec", Installed database).
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';

/** Packages in the order of the file. */
export function readApkInstalled(bytes: Uint8Array): Result<InstalledPackage[]> {
  const packages: InstalledPackage[] = [];
  // Files of a package (F, R, a, Z, M) follow its own fields in the same paragraph; only the first P, V and A are the package's.
  for (const paragraph of Buffer.from(bytes)
    .toString('utf8')
    .split(/\n\s*\n/)) {
    if (paragraph.trim() === '') continue;
    const name = field(paragraph, 'P');
    const version = field(paragraph, 'V');
    if (name === undefined || version === undefined) {
      return unreadable('apk', `a paragraph has no name or no version: '${paragraph.trim().slice(0, 60)}'`);
    }
    packages.push({ name, version, architecture: field(paragraph, 'A') });
  }
  return ok(packages);
}

function field(paragraph: string, letter: string): string | undefined {
  return new RegExp(`^${letter}:(.*)$`, 'm').exec(paragraph)?.[1]?.trim();
}
