// Expected values from https://circleci.com/docs/workspaces/ and https://pkg.go.dev/path/filepath#Match.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createWorkspace, glob } from './workspace.ts';

const folder = mkdtempSync(join(tmpdir(), 'workspace-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function tree(name: string, files: Record<string, string>): string {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test.each([
  ['a star stays in its folder', 'build/*', ['build/a.jar', 'build/b.txt', 'build/sub']],
  ['a path is no pattern', 'target/application.jar', ['target/application.jar']],
  ['a folder', 'build', ['build']],
  ['one character', 'build/?.jar', ['build/a.jar']],
  ['a class', 'build/[a-c].jar', ['build/a.jar']],
  ['a class turned round', 'build/[^a].txt', ['build/b.txt']],
  ['an escape', 'odd/a\\*b', ['odd/a*b']],
  ['a dot is a dot', 'build/a?jar', ['build/a.jar']],
  ['folders too', '*/a.jar', ['build/a.jar']],
  ['nothing', 'nope/*', []],
  ['the root itself', '.', ['.']],
])('patterns: %s', async (_name, pattern, expected) => {
  const root = tree('patterns', {
    'build/a.jar': '',
    'build/b.txt': '',
    'build/sub/c.jar': '',
    'target/application.jar': '',
    'odd/a*b': '',
    'odd/axb': '',
  });
  expect((await glob(root, pattern)).sort()).toEqual(expected);
});

const required = (job: string): ReadonlySet<string> => new Set({ b: ['a'], d: ['a', 'b', 'c'] }[job] ?? []);

test('a job gets the layers of the jobs that it requires; a later one wins, and nothing is removed', async () => {
  const workspace = createWorkspace(join(folder, 'layers'), required);
  await workspace.persist('a', tree('a', { 'x/one': 'of a', 'x/two': 'of a' }), ['x']);
  await workspace.persist('b', tree('b', { 'x/two': 'of b' }), ['x/*']);
  await workspace.persist('c', tree('c', { three: 'of c' }), ['.']);
  await workspace.persist('e', tree('e', { four: 'of e' }), ['four']);
  const at = join(folder, 'attached');
  expect(await workspace.attach('d', at)).toBeUndefined();
  expect(readdirSync(at).sort()).toEqual(['three', 'x']);
  expect(readFileSync(join(at, 'x/one'), 'utf8') + readFileSync(join(at, 'x/two'), 'utf8')).toBe('of aof b');
});

test('the same file of two jobs that do not wait for each other is an error where it is attached', async () => {
  const workspace = createWorkspace(join(folder, 'conflict'), required);
  await workspace.persist('a', tree('a2', { same: '1' }), ['same']);
  await workspace.persist('c', tree('c2', { same: '2' }), ['same']);
  expect(await workspace.attach('d', join(folder, 'never'))).toMatch(/'same' of a and c/);
});

test('paths that match nothing, and paths outside of the root, fail', async () => {
  const workspace = createWorkspace(join(folder, 'bad'), required);
  const root = tree('bad-root', { file: '' });
  expect(await workspace.persist('a', root, ['nope'])).toMatch(/match no files/);
  expect(await workspace.persist('a', root, ['../x'])).toMatch(/does not lie below/);
});
