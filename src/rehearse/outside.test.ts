import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { borrowFolders } from './outside.ts';

const folder = mkdtempSync(join(tmpdir(), 'outside-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('folders are made with those around them, and go without a trace', async () => {
  const borrowed = await borrowFolders([join(folder, 'a/b'), join(folder, 'a/b/c'), join(folder, 'a')]);
  expect(borrowed.ok && existsSync(join(folder, 'a/b/c'))).toBe(true);
  if (borrowed.ok) await borrowed.giveBack();
  expect(existsSync(join(folder, 'a'))).toBe(false);
});

test('what is there already is refused and left, and the next job gets its turn', async () => {
  mkdirSync(join(folder, 'there'));
  writeFileSync(join(folder, 'there/file'), '');
  const refused = await borrowFolders([join(folder, 'new'), join(folder, 'there')]);
  expect(refused).toMatchObject({ ok: false });
  expect(existsSync(join(folder, 'there/file'))).toBe(true);
  expect(existsSync(join(folder, 'new'))).toBe(false);
  const next = await borrowFolders([join(folder, 'new')]);
  expect(next.ok).toBe(true);
  if (next.ok) await next.giveBack();
});
