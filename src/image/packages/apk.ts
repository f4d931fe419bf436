// Reads apk's database, /lib/apk/db/installed: paragraphs of one-letter fields (Alpine wiki, "Apk spec", Installed database).
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';

/** Packages in the order of the file. */
export function readApkInstalled(bytes: Uint8Array): Result<InstalledPackage[]> {
  const packages: InstalledPackage[] = [];
  for (const paragraph of Buffer.from(bytes)
    .toString('utf8')
    .split(/\n\s*\n/)) {
    if (paragraph.trim() === '') continue;
    const fields = new Map<string, string>();
    const files: string[] = [];
    let folder = '';
    for (const line of paragraph.split('\n')) {
      const [letter, value] = [line.slice(0, 2), line.slice(2).trim()];
      // Files follow their folder; what else is said of either (a, M, Z) is not needed.
      if (letter === 'F:') {
        folder = value === '' ? '' : `/${value}`;
        if (folder !== '') files.push(folder);
      } else if (letter === 'R:') files.push(`${folder}/${value}`);
      else if (!fields.has(letter)) fields.set(letter, value);
    }
    const [name, version] = [fields.get('P:'), fields.get('V:')];
    if (name === undefined || version === undefined) {
      return unreadable('apk', `a paragraph has no name or no version: '${paragraph.trim().slice(0, 60)}'`);
    }
    packages.push({ name, version, architecture: fields.get('A:'), files });
  }
  return ok(packages);
}
