import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { openAbilities } from './abilities.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'abilities-'));
  file = join(folder, 'state/abilities.json');
});
afterEach(() => rmSync(folder, { recursive: true }));

const i386 = { os: 'linux', architecture: '386' };
const hour = 3600 * 1000;
const at = (ms: number) => ({ ...systemClock, now: () => ms });

test('what a machine was found to run is known to the next run, for a day', async () => {
  const now = 1000 * hour;
  await openAbilities(file, at(now)).keep('engine 6.1', i386);
  expect(openAbilities(file, at(now + 23 * hour)).known('engine 6.1', i386)).toBe(true);
  expect(openAbilities(file, at(now + 24 * hour)).known('engine 6.1', i386)).toBe(false);
  expect(openAbilities(file, at(now - hour)).known('engine 6.1', i386)).toBe(false);
});

test('it is said of that machine with that kernel, and of that platform', async () => {
  const abilities = openAbilities(file, systemClock);
  await abilities.keep('engine 6.1', i386);
  expect(abilities.known('engine 6.1', i386)).toBe(true);
  expect(abilities.known('engine 6.2', i386)).toBe(false);
  expect(abilities.known('other 6.1', i386)).toBe(false);
  expect(abilities.known('engine 6.1', { os: 'linux', architecture: 'arm', variant: 'v7' })).toBe(false);
});

test('builders that are opened at once keep what they found, all of them, and what is out of date goes', async () => {
  await openAbilities(file, at(0)).keep('old', i386);
  const abilities = openAbilities(file, at(48 * hour));
  await Promise.all(['a', 'b', 'c'].map((machine) => abilities.keep(machine, i386)));
  expect(Object.keys(JSON.parse(readFileSync(file, 'utf8'))).sort()).toEqual([
    'a linux/386',
    'b linux/386',
    'c linux/386',
  ]);
});

test('a file that is spoilt says nothing, and a folder that can’t be written stops nobody', async () => {
  await openAbilities(file, systemClock).keep('engine', i386);
  writeFileSync(file, '{"engine linux/386": "yes"');
  expect(openAbilities(file, systemClock).known('engine', i386)).toBe(false);
  const nowhere = openAbilities(join(file, 'below/a/file.json'), systemClock);
  await nowhere.keep('engine', i386);
  expect(nowhere.known('engine', i386)).toBe(true);
});
