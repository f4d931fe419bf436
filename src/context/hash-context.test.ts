// What makes a context another one, and what doesn't; on a real file system.
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashContext } from './hash-context.ts';

let root: string;
let context: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'splitbuild-context-'));
  context = join(root, 'context');
  mkdirSync(join(context, 'src/empty'), { recursive: true });
  mkdirSync(join(context, 'node_modules/a'), { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\n', { mode: 0o644 });
  writeFileSync(join(context, 'src/main'), 'one\n', { mode: 0o644 });
  writeFileSync(join(context, 'node_modules/a/index'), 'a\n');
  symlinkSync('main', join(context, 'src/link'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const rules = 'node_modules\n*.log\n';
const digest = async (ignore: string | undefined = rules): Promise<string> =>
  (await hashContext(context, ignore, undefined)).digest;

const relink = (make: () => void): void => {
  rmSync(join(context, 'src/link'));
  make();
};

test.each<[string, () => void]>([
  ['a file’s content', () => writeFileSync(join(context, 'src/main'), 'two\n')],
  ['a file’s mode', () => chmodSync(join(context, 'src/main'), 0o755)],
  ['a folder’s mode', () => chmodSync(join(context, 'src/empty'), 0o700)],
  ['a link’s target', () => relink(() => symlinkSync('Dockerfile', join(context, 'src/link')))],
  ['a link that became a file', () => relink(() => writeFileSync(join(context, 'src/link'), 'main'))],
  ['a new file', () => writeFileSync(join(context, 'src/new'), '')],
  ['a new empty folder', () => mkdirSync(join(context, 'src/other'))],
  ['a file’s name', () => renameSync(join(context, 'src/main'), join(context, 'src/niam'))],
  ['a file that is gone', () => rmSync(join(context, 'src/main'))],
])('%s makes it another', async (_, change) => {
  const before = await digest();
  change();
  expect(await digest()).not.toBe(before);
});

test.each<[string, () => void]>([
  ['a file’s time', () => utimesSync(join(context, 'src/main'), 1, 1)],
  ['what is left out', () => writeFileSync(join(context, 'node_modules/a/index'), 'b\n')],
  ['a new file that is left out', () => writeFileSync(join(context, 'src.log'), 'log')],
  [
    'another place on the disk',
    () => {
      cpSync(context, join(root, 'copy'), { recursive: true, verbatimSymlinks: true });
      context = join(root, 'copy');
    },
  ],
])('%s changes nothing', async (_, change) => {
  const before = await digest();
  change();
  expect(await digest()).toBe(before);
});

test('of a folder that is left out, what a later rule keeps counts, with the folders that lead there', async () => {
  writeFileSync(join(context, 'node_modules/a/kept'), 'kept\n');
  const { entries } = await hashContext(context, 'node_modules\n!node_modules/a/kept\n', undefined);
  expect([...entries.keys()]).toEqual([
    'Dockerfile',
    'node_modules',
    'node_modules/a',
    'node_modules/a/kept',
    'src',
    'src/empty',
    'src/link',
    'src/main',
  ]);
});

// The SHA-256 is what `printf 'one\n' | sha256sum` says.
test('each path is told with its kind, mode, and content or target', async () => {
  const { entries } = await hashContext(context, rules, undefined);
  expect(entries.get('src/main')).toBe('file 644 2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806');
  expect(entries.get('src/link')).toBe('link  main');
});

function fill(count: number): void {
  for (let number = 0; number < count; number += 1) writeFileSync(join(context, `src/${number}`), `${number}`);
}

/** Times of the past: what is as young as the cache itself is never taken from it. */
const settle = (): Promise<void> => new Promise((done) => setTimeout(done, 30));

test('with a cache it is the same as without, whatever was changed in between', async () => {
  fill(100);
  const cache = join(root, 'cache');
  await settle();
  for (let round = 0; round < 4; round += 1) {
    const cached = await hashContext(context, rules, cache);
    expect(cached.digest).toBe(await digest());
    // Of the same length, at the same inode.
    writeFileSync(join(context, 'src/7'), `${round}`);
    if (round % 2 === 1) utimesSync(join(context, 'src/7'), 1, 1);
  }
  expect(readdirSync(cache)).toHaveLength(1);
});

test('a file that is unchanged is not read again, and one that changed in the instant of the look is', async () => {
  fill(100);
  await settle();
  const cache = join(root, 'cache');
  const first = await hashContext(context, rules, cache);
  // What the cache says is believed: it is told something else here.
  const [name = ''] = readdirSync(cache);
  const text = readFileSync(join(cache, name), 'utf8');
  const lied = text.replaceAll(/[0-9a-f]{64} "src\/7"/g, `${'0'.repeat(64)} "src/7"`);
  writeFileSync(join(cache, name), lied);
  expect((await hashContext(context, rules, cache)).digest).not.toBe(first.digest);
  // As if the look had been at the very time at which the file was written.
  writeFileSync(join(cache, name), lied.replace(/^splitbuild-context 1 .*/, 'splitbuild-context 1 1'));
  expect((await hashContext(context, rules, cache)).digest).toBe(first.digest);
});

test('a cache that is torn, or of something else, is no harm', async () => {
  fill(100);
  await settle();
  const cache = join(root, 'cache');
  await hashContext(context, rules, cache);
  const [name = ''] = readdirSync(cache);
  const text = readFileSync(join(cache, name), 'utf8');
  for (const torn of [text.slice(0, 2000), 'splitbuild-context 1 NaN\nx', '', `\0${text}`]) {
    writeFileSync(join(cache, name), torn);
    expect((await hashContext(context, rules, cache)).digest).toBe(await digest());
  }
});
