// Compares the files of the sides: which are there, of which type, mode and owner. Contents are not compared.
import { isOwned } from '../packages/databases.ts';
import { architectureWords } from './architecture.ts';
import { type Difference, differ, type Kind, type Side } from './difference.ts';
import type { FileFacts } from './file-system.ts';
import { ignoredAcrossPlatforms, ignoredAlways, isIgnored } from './ignored.ts';

export interface FileComparison {
  /** Files of each column that were compared, and those that were not (see ignored.ts). */
  counts: { column: string; compared: number; ignored: number }[];
  /** Files that only some columns have, those that no package has put there first. */
  notEverywhere: FilesOfSome[];
  /** Files of another size, which is as it should be for machine code. */
  otherSize: number;
  differences: Difference[];
}

export interface FilesOfSome {
  columns: string[];
  /** Whether packages have put them there; the packages are compared by themselves. */
  ofPackages: boolean;
  count: number;
  /** The first of them. A folder of which everything is so is listed as one, with how many files are in it. */
  first: { path: string; within: number }[];
}

const firstOnes = 20;

export function compareFiles(sides: Side[], kind: Kind): FileComparison {
  const rules = kind === 'platforms' ? [...ignoredAlways, ...ignoredAcrossPlatforms] : ignoredAlways;
  const words = sides.map(({ platform }) => (kind === 'platforms' ? architectureWords(platform).neutral : same));
  const tables = sides.map(({ files }) => new Map([...files].filter(([path]) => !isIgnored(path, rules))));
  const counts = sides.map(({ column, files }, index) => {
    const compared = tables[index]?.size ?? 0;
    return { column, compared, ignored: files.size - compared };
  });
  const differences: Difference[] = [];
  let otherSize = 0;
  const compare = (path: string, facts: (FileFacts | undefined)[]): void => {
    if (differ(facts.map((one) => one && String(one.size)))) otherSize += 1;
    const found = compareFacts(facts, words);
    if (found !== undefined) differences.push({ area: 'file', name: path, matters: true, ...found });
  };
  // Paths that all have are compared as they are written; only of the others the architecture is taken out of the name.
  const [first, ...others] = tables;
  for (const [path, facts] of first ?? []) {
    if (!others.every((table) => table.has(path))) continue;
    compare(path, [facts, ...others.map((table) => table.get(path))]);
    for (const table of tables) table.delete(path);
  }
  const neutral = tables.map((table, index) => neutralPaths(table, words[index] ?? same));
  const some = new Map<string, Omit<FilesOfSome, 'count' | 'first'> & { paths: string[] }>();
  for (const path of new Set(neutral.flatMap((table) => [...table.keys()]))) {
    const found = neutral.map((table) => table.get(path));
    if (found.every((one) => one !== undefined)) {
      compare(
        path,
        found.map(({ facts }) => facts),
      );
      continue;
    }
    const having = sides.filter((_, index) => found[index] !== undefined);
    const columns = having.map(({ column }) => column);
    const ofPackages = sides.some((side, index) => found[index] !== undefined && isOwned(side, found[index].path));
    const key = JSON.stringify([ofPackages, columns]);
    const group = some.get(key) ?? { columns, ofPackages, paths: [] };
    // As it is written where only one has it: there, a person will look for it.
    const written = new Set(found.flatMap((one) => (one === undefined ? [] : [one.path])));
    group.paths.push(written.size === 1 ? ([...written][0] ?? path) : path);
    some.set(key, group);
  }
  differences.sort((a, b) => (a.name < b.name ? -1 : 1));
  const notEverywhere = [...some.values()]
    .map(({ paths, ...group }) => ({ ...group, count: paths.length, first: uppermost(paths).slice(0, firstOnes) }))
    .sort((a, b) => Number(a.ofPackages) - Number(b.ofPackages));
  return { counts, notEverywhere, otherSize, differences };
}

/** The first of these that differs says it all: a link and a file have nothing else in common. */
function compareFacts(
  facts: (FileFacts | undefined)[],
  words: ((text: string) => string)[],
): Pick<Difference, 'values' | 'reason'> | undefined {
  const types = facts.map((one) => one?.type);
  if (differ(types)) return { values: types };
  const type = types[0];
  // The mode of a link is never looked at.
  const modes = facts.map((one) => (one && type !== 'symlink' ? `mode ${one.mode.toString(8).padStart(4, '0')}` : ''));
  if (differ(modes)) return { values: modes };
  const owners = facts.map((one) => one && `owner ${one.uid}:${one.gid}`);
  if (differ(owners)) return { values: owners };
  const targets = facts.map((one) => one?.target && `→ ${one.target}`);
  if (differ(targets) && differ(targets.map((target, index) => target && words[index]?.(target)))) {
    return { values: targets };
  }
  const empty = facts.map((one) => (one?.type === 'file' && one.size === 0 ? 'empty' : `${one?.size} bytes`));
  // A download that gave nothing on one platform looks so.
  return facts.some((one) => one?.size === 0) && facts.some((one) => one?.size !== 0) ? { values: empty } : undefined;
}

/** By their neutral names. Where two paths of one side become the same, the later keeps its own. */
function neutralPaths(
  table: Map<string, FileFacts>,
  neutral: (text: string) => string,
): Map<string, { path: string; facts: FileFacts }> {
  const paths = new Map<string, { path: string; facts: FileFacts }>();
  for (const [path, facts] of table) {
    const name = neutral(path);
    paths.set(paths.has(name) ? path : name, { path, facts });
  }
  return paths;
}

/** Without those that lie in another of them, in order, and with how many do. */
function uppermost(paths: string[]): { path: string; within: number }[] {
  const all = new Set(paths);
  const within = new Map<string, number>();
  for (const path of paths) {
    let top = path;
    for (let folder = parent(path); all.has(folder); folder = parent(folder)) top = folder;
    within.set(top, (within.get(top) ?? -1) + 1);
  }
  return [...within].map(([path, count]) => ({ path, within: count })).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function same(text: string): string {
  return text;
}
