// Reads dpkg's database: /var/lib/dpkg/status, and the files of /var/lib/dpkg/status.d that images without dpkg have instead.
// Format: deb-control(5) paragraphs with the fields of deb822(5); Status is documented in dpkg-query(1), "Package State".
import { ok, type Result } from '../../failure.ts';
import { type InstalledPackage, unreadable } from './package.ts';

/** States in which a package's files are not there: dpkg remembers only its name, or its configuration. */
const absent = new Set(['not-installed', 'config-files']);

/** Packages in the order of the file. One without a Status field counts as installed: status.d has none. */
export function readDpkgStatus(bytes: Uint8Array): Result<InstalledPackage[]> {
  const packages: InstalledPackage[] = [];
  for (const fields of paragraphs(Buffer.from(bytes).toString('utf8'))) {
    const name = fields.get('package');
    if (name === undefined) {
      return unreadable('dpkg', `a paragraph has no Package field: '${[...fields.keys()].join(', ').slice(0, 80)}'`);
    }
    const state = fields.get('status')?.split(/\s+/)[2];
    if (state !== undefined && absent.has(state)) continue;
    const version = fields.get('version');
    if (version === undefined) return unreadable('dpkg', `package ${name} has no Version field`);
    packages.push({ name, version, architecture: fields.get('architecture'), files: [] });
  }
  return ok(packages);
}

/** Paths of a package: of /var/lib/dpkg/info/NAME.list a line each, of status.d/NAME.md5sums without a slash, behind a checksum. */
export function readDpkgFiles(bytes: Uint8Array): string[] {
  return Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .map((line) => line.replace(/^[0-9a-f]{32}\s+/, '/').trim())
    .filter((path) => path.startsWith('/') && path !== '/.');
}

/** Fields by their lower-case names; of a field of several lines only the first, which is all that is needed here. */
function* paragraphs(text: string): Generator<Map<string, string>> {
  let fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    if (line.trim() === '') {
      if (fields.size > 0) yield fields;
      fields = new Map();
      continue;
    }
    if (/^[\s#]/.test(line)) continue;
    const colon = line.indexOf(':');
    // A line without a colon is no field; it is named, so that a file which is no database at all is refused.
    if (colon < 0) fields.set(line, '');
    else fields.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  if (fields.size > 0) yield fields;
}
