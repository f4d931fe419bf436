import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { checkOut, readRepository } from './checkout.ts';

const folder = mkdtempSync(join(tmpdir(), 'checkout-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function repository(): string {
  const path = mkdtempSync(join(folder, 'repository-'));
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', path, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      stdio: 'ignore',
    });
  git('init', '--initial-branch', 'develop');
  git('remote', 'add', 'origin', 'git@github.com:acme/images.git');
  mkdirSync(join(path, '.circleci'));
  for (const [name, text] of Object.entries({ kept: 'old', gone: '', '.gitignore': 'ignored\n' }))
    writeFileSync(join(path, name), text);
  git('add', '.');
  git('commit', '--message', 'one');
  writeFileSync(join(path, 'kept'), 'new');
  writeFileSync(join(path, 'fresh'), '');
  writeFileSync(join(path, 'ignored'), '');
  rmSync(join(path, 'gone'));
  return path;
}

test('a job gets the working tree as it is, without what git ignores, and a git of its own', async () => {
  const path = repository();
  const found = await readRepository(join(path, '.circleci'), false);
  expect(found).toMatchObject({ isGit: true, branch: 'develop', origin: 'git@github.com:acme/images.git' });
  const to = join(folder, 'job/project');
  expect(await checkOut(found, to)).toBeUndefined();
  expect(readFileSync(join(to, 'kept'), 'utf8')).toBe('new');
  expect(['fresh', 'ignored', 'gone'].map((name) => existsSync(join(to, name)))).toEqual([true, false, false]);
  const git = (...args: string[]) => execFileSync('git', ['-C', to, ...args], { encoding: 'utf8' }).trimEnd();
  expect(git('rev-parse', 'HEAD')).toBe(found.commit);
  expect(git('status', '--porcelain')).toBe(' D gone\n M kept\n?? fresh');
  expect(git('remote', 'get-url', 'origin')).toBe('git@github.com:acme/images.git');
  expect(await checkOut(found, to)).toBeUndefined();
});

test('a folder without git is copied whole, and only to where nothing is', async () => {
  const path = join(folder, 'plain');
  mkdirSync(join(path, 'sub'), { recursive: true });
  writeFileSync(join(path, 'sub/file'), 'text');
  const found = await readRepository(path, true);
  const to = join(folder, 'other/project');
  expect(await checkOut(found, to)).toBeUndefined();
  expect(readFileSync(join(to, 'sub/file'), 'utf8')).toBe('text');
  expect(await checkOut(found, to)).toMatch(/something/);
});
