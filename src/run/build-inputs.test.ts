// What is read for builds: from real folders.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { ok } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import type { BuildTask } from '../plan/plan.ts';
import { createSimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock } from '../virtual-clock.ts';
import { createInputReader, type ReadInputs } from './build-inputs.ts';

let root: string;
let read: ReadInputs;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'splitbuild-inputs-'));
  mkdirSync(join(root, '.git'));
  writeFileSync(join(root, '.git/index'), 'one');
  writeFileSync(join(root, 'Dockerfile'), 'FROM scratch\nCOPY . /\n');
  writeFileSync(join(root, 'data'), 'one');
  read = reader();
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function reader(): ReadInputs {
  const registry = { headManifest: async () => ok(undefined) };
  return createInputReader({
    tasks: [],
    cache: undefined,
    registry,
    clock: systemClock,
    signal: new AbortController().signal,
  });
}

function task(other: Partial<BuildTask> = {}): BuildTask {
  return {
    ...{ kind: 'build', id: 'build a linux/amd64', image: 'a', platform: { os: 'linux', architecture: 'amd64' } },
    ...{ mode: 'native', repository: 'a', context: root, dockerfile: join(root, 'Dockerfile'), args: {}, secrets: [] },
    ...{ upstreams: [], needs: [] },
    ...other,
  };
}

async function inputs(from: ReadInputs, of = task(), fresh = false) {
  const found = await from(of, fresh);
  if (!found.ok) throw new Error(JSON.stringify(found.failure));
  return found.value;
}

test('the rules of the Dockerfile itself go before those of its context', async () => {
  writeFileSync(join(root, '.dockerignore'), 'data\n');
  expect((await inputs(reader())).ignore).toBe('data\n');
  writeFileSync(join(root, 'Dockerfile.dockerignore'), 'other\n');
  expect((await inputs(reader())).ignore).toBe('other\n');
});

test('a context is looked at once a run, and anew when asked', async () => {
  const first = await inputs(read);
  writeFileSync(join(root, 'data'), 'two');
  writeFileSync(join(root, 'Dockerfile'), 'FROM other\n');
  expect((await inputs(read)).context).toBe(first.context);
  const again = await inputs(read, task(), true);
  expect(again.context).not.toBe(first.context);
  // The plan's places in it are those of the text that was read first.
  expect(again.dockerfile).toBe(first.dockerfile);
});

test('of a git source, the clone’s own folder is neither sent nor counted, unless its rules say so', async () => {
  const commit = '0'.repeat(40);
  const before = await inputs(reader(), task({ commit }));
  expect(before.ignore).toBe('.git\n');
  writeFileSync(join(root, '.git/index'), 'two');
  expect((await inputs(reader(), task({ commit }))).context).toBe(before.context);
  expect((await inputs(reader())).files?.has('.git/index')).toBe(true);
  writeFileSync(join(root, '.dockerignore'), '!.git\n');
  expect((await inputs(reader(), task({ commit }))).files?.has('.git/index')).toBe(true);
});

test('a Dockerfile that is gone is told with its place', async () => {
  rmSync(join(root, 'Dockerfile'));
  expect(await read(task())).toMatchObject({ ok: false, failure: { kind: 'system', where: root } });
});

test('jobs of one run on two machines build on what the first of them has found', async () => {
  const clock = createVirtualClock(0, () => 0.5);
  const store = createSimulatedRegistry();
  const base = task({ externals: [{ reference: 'docker.io/library/debian:12', range: { start: 5, end: 12 } }] });
  const jobThatFinds = (digest: string, run?: string) =>
    createInputReader({
      ...{ tasks: [base], cache: undefined, clock, signal: new AbortController().signal },
      registry: { headManifest: async () => ok({ digest, mediaType: 'm', size: 1 }) },
      ...(run === undefined
        ? {}
        : { agreement: { run, registry: store.client(), registryAddress: 'r.example', warn: () => undefined } }),
    });
  const found = async (reader: ReadInputs) =>
    (await clock.run(inputs(reader, base))).externals?.get('docker.io/library/debian:12')?.digest;
  const [old, moved] = [sha256('old'), sha256('moved')];
  expect(await found(jobThatFinds(old, '4711'))).toBe(old);
  expect(await found(jobThatFinds(moved, '4711'))).toBe(old);
  expect(await found(jobThatFinds(moved, '4712'))).toBe(moved);
  expect(await found(jobThatFinds(moved))).toBe(moved);
});
