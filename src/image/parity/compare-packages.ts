// Compares the packages that the sides have installed: missing ones, other versions.
import { architectureWords } from './architecture.ts';
import { type Difference, differ, type Kind, type Side } from './difference.ts';

/**
 * Packages that distributions make for some architectures only and that come along with compilers and their libraries (Debian 12's and
 * Fedora's archives): that one platform has none of them is no fault of the image.
 */
const ofSomeArchitectures =
  /^(?:libquadmath\d*(?:-devel|-static)?|lib(?:hw|l|t)san\d*(?:-static)?|libitm\d*(?:-devel|-static)?|libipt\d*|libx86(?:emu)?-?\d*)$/;

export function comparePackages(sides: Side[], kind: Kind): Difference[] {
  const databases = sides.map((side) => side.databases.join(', ') || undefined);
  const differences: Difference[] = differ(databases)
    ? [{ area: 'package database', name: '', matters: true, values: databases }]
    : [];
  const tables = sides.map((side) => versionsByName(side, kind));
  const names = [...new Set(tables.flatMap((table) => [...table.keys()]))].sort();
  for (const name of names) {
    const values = tables.map((table) => table.get(name)?.join(', '));
    if (!differ(values)) continue;
    differences.push({ area: 'package', name, values, ...judge(name, values, kind) });
  }
  return differences;
}

function judge(name: string, values: (string | undefined)[], kind: Kind): Pick<Difference, 'matters' | 'reason'> {
  if (!differ(values.map((value) => value?.replace(/\+b\d+(?=,|$)/g, '')))) {
    return { matters: false, reason: 'the same source, built again by Debian (binNMU)' };
  }
  const there = values.filter((value) => value !== undefined);
  if (kind === 'platforms' && there.length < values.length && !differ(there) && ofSomeArchitectures.test(name)) {
    return { matters: false, reason: 'not made for every architecture' };
  }
  return { matters: true };
}

/** Versions in order: there may be several (kernels, keys). A package of another architecture than the platform's is another package. */
function versionsByName(side: Side, kind: Kind): Map<string, string[]> {
  const { neutral, isOwn } = architectureWords(side.platform);
  const table = new Map<string, string[]>();
  for (const { name, version, architecture } of side.packages) {
    const plain = kind === 'platforms' ? neutral(name) : name;
    const key = isOwn(architecture) ? plain : `${plain}:${architecture}`;
    const versions = table.get(key) ?? [];
    if (!versions.includes(version)) versions.push(version);
    table.set(key, versions.sort());
  }
  return table;
}
