// The audit's findings in words, for terminals and logs: path, layer, what is there and what belongs there, and how to allow it.
import { printable } from '../layers/entry.ts';
import { formatPlatform, type Platform } from '../platform.ts';
import type { AuditFinding } from './audit.ts';

const shown = 10;

/** Lines for people; none where nothing was found. `image`: how the reader knows it, `team/app:1.2`. */
export function formatFindings(image: string, platform: Platform, findings: AuditFinding[]): string[] {
  if (findings.length === 0) return [];
  const count = findings.length === 1 ? 'a program does' : `${findings.length} programs do`;
  const rest = findings.length - shown;
  return [
    `${image}: ${count} not belong in an image of ${formatPlatform(platform)}`,
    ...findings
      .slice(0, shown)
      .map(
        ({ path, layer, found, expected }) =>
          `  ${printable(path)}: ${found}, expected ${expected} (layer ${shortened(layer)})`,
      ),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
    `  look at what the Dockerfile downloads or copies there; if it belongs there: ${hint(findings)}`,
  ];
}

/** A glob that allows what was found: the file itself, or the folder that all of it is in. */
function hint(findings: AuditFinding[]): string {
  const [first, ...others] = findings.map(({ path }) => path);
  let glob = first ?? '';
  if (others.length > 0) {
    let parts = glob.split('/').slice(0, -1);
    for (const path of others) {
      const folders = path.split('/').slice(0, -1);
      const differs = parts.findIndex((part, at) => part !== folders[at]);
      if (differs >= 0) parts = parts.slice(0, differs);
    }
    // A whole image is not allowed by one hint.
    if (parts.length <= 1) return `audit: { allow: [${JSON.stringify(escaped(glob))}, …] }`;
    glob = `${parts.join('/')}/**`;
  }
  return `audit: { allow: [${JSON.stringify(escaped(glob))}] }`;
}

/** Characters of a file's name that mean something in a glob. */
function escaped(glob: string): string {
  const folder = glob.endsWith('/**') ? glob.slice(0, -3) : glob;
  return folder.replace(/[\\*?[\]{}()!+@|]/g, '\\$&') + glob.slice(folder.length);
}

/** `sha256:0123456789ab` */
function shortened(digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return `${algorithm}:${hex.slice(0, 12)}`;
}
