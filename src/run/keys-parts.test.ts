// What is noted of builds, on a real disk: by this process, by others beside it, and by one that was killed.
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import type { BuildTask } from '../plan/plan.ts';
import { type KeptParts, openParts } from './keys-parts.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'splitbuild-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function taskOf(image: string, architecture = 'amd64'): BuildTask {
  return {
    ...{ kind: 'build', id: `build ${image} linux/${architecture}`, image, mode: 'native', repository: image },
    ...{ platform: { os: 'linux', architecture }, context: '/c', dockerfile: '/c/Dockerfile', args: {} },
    ...{ secrets: [], upstreams: [], needs: [] },
  };
}

function keptOf(what: string): KeptParts {
  const top = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: sha256(`image ${what}`), size: 7 };
  return {
    key: sha256(what),
    image: { top, child: { descriptor: top, attestations: [] } },
    parts: {
      ...{ dockerfile: `FROM ${what}\n`, context: sha256('c'), args: {}, target: '', platform: 'linux/amd64' },
      ...{ secrets: [], upstreams: {}, externals: {} },
    },
  };
}

test('the next run finds what was noted last, of each image and platform, whatever their names are', async () => {
  const tasks = [taskOf('team/app one'), taskOf('team/app one', 'arm64'), taskOf('ö'), taskOf('app')];
  const first = openParts(folder);
  for (const [at, task] of tasks.entries()) {
    await first.keep(task, keptOf(`old ${at}`));
    await first.keep(task, keptOf(`new ${at}`));
  }
  const next = openParts(folder);
  for (const [at, task] of tasks.entries()) {
    const { parts, ...noted } = keptOf(`new ${at}`);
    expect(next.read(task)).toEqual(noted);
    expect(next.partsOf(task)).toEqual(parts);
  }
  expect(next.read(taskOf('other'))).toBeUndefined();
  expect(next.partsOf(taskOf('other'))).toBeUndefined();
});

test('runs beside each other lose nothing of what the other notes', async () => {
  const [one, two] = [openParts(folder), openParts(folder)];
  const numbers = Array.from({ length: 50 }, (_, number) => number);
  await Promise.all(
    numbers.map((number) => (number % 2 === 0 ? one : two).keep(taskOf(`i${number}`), keptOf(`${number}`))),
  );
  const next = openParts(folder);
  for (const number of numbers) expect(next.read(taskOf(`i${number}`))?.key).toBe(keptOf(`${number}`).key);
});

test('a note that was torn, or says what it can’t be, is none, and spoils no other', async () => {
  await openParts(folder).keep(taskOf('whole'), keptOf('whole'));
  const last = join(folder, 'last');
  appendFileSync(last, '\nstrange-linux-amd64 {"key":"k","image":{"top":7}}\ntorn-linux-amd64 {"key":"sha25');
  await openParts(folder).keep(taskOf('later'), keptOf('later'));
  const next = openParts(folder);
  expect(['whole', 'later', 'strange', 'torn'].map((image) => next.read(taskOf(image))?.key)).toEqual([
    keptOf('whole').key,
    keptOf('later').key,
    undefined,
    undefined,
  ]);
});

test('what a build was made of is told of the one that is noted, and not of another', async () => {
  const store = openParts(folder);
  await store.keep(taskOf('app'), keptOf('one'));
  const [file = ''] = readdirSync(folder).filter((name) => name.endsWith('.json'));
  const text = readFileSync(join(folder, file), 'utf8');
  await store.keep(taskOf('app'), keptOf('two'));
  expect(openParts(folder).partsOf(taskOf('app'))).toEqual(keptOf('two').parts);
  writeFileSync(join(folder, file), text);
  expect(openParts(folder).partsOf(taskOf('app'))).toBeUndefined();
});

test('it does not grow without end', async () => {
  const last = join(folder, 'last');
  await openParts(folder).keep(taskOf('app'), keptOf('0'));
  const line = readFileSync(last, 'utf8');
  appendFileSync(last, line.repeat(5000));
  await openParts(folder).keep(taskOf('other'), keptOf('1'));
  expect(readFileSync(last, 'utf8').length).toBeLessThan(5 * line.length);
  const next = openParts(folder);
  expect(next.read(taskOf('app'))?.key).toBe(keptOf('0').key);
  expect(next.read(taskOf('other'))?.key).toBe(keptOf('1').key);
});
