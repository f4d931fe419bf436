// What a plan says of builds: on real folders and the real embedded registry, with what the last build left.
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { ok } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import type { BuildTask, Plan } from '../plan/plan.ts';
import { createRegistryClient, type RegistryClient } from '../registry/client.ts';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../registry/embedded.ts';
import { createInputReader } from './build-inputs.ts';
import { keyTag } from './build-key.ts';
import { prepareBuild } from './build-task.ts';
import { openParts } from './keys-parts.ts';
import { type BuildReason, describeReason, explainBuilds } from './why.ts';

const never = new AbortController().signal;
let root: string;
let server: EmbeddedRegistry;
let client: RegistryClient;
let digests: Record<string, string>;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'splitbuild-why-'));
  for (const image of ['base', 'app']) mkdirSync(join(root, image));
  writeFileSync(join(root, 'base/Dockerfile'), 'FROM debian:12\nCOPY data /\n');
  writeFileSync(join(root, 'base/data'), 'one');
  writeFileSync(join(root, 'app/Dockerfile'), 'FROM o/base\nCOPY . /\n');
  const started = await startEmbeddedRegistry({
    root: join(root, 'registry'),
    host: '127.0.0.1',
    port: 0,
    onFailure: () => undefined,
  });
  if (!started.ok) throw new Error(JSON.stringify(started.failure));
  server = started.value;
  client = createRegistryClient({ plainHttp: () => true });
  digests = { 'debian:12': sha256('debian') };
});
afterEach(async () => {
  await server.close();
  rmSync(root, { recursive: true, force: true });
});

function planOf(args: Record<string, string> = {}, secrets: string[] = []): Plan {
  const platform = { os: 'linux', architecture: 'amd64' };
  const usual = { kind: 'build', platform, mode: 'native' } as const;
  const folder = (image: string) => ({
    ...{ id: `build ${image} linux/amd64`, image, repository: `o/${image}` },
    ...{ context: join(root, image), dockerfile: join(root, image, 'Dockerfile') },
  });
  const base: BuildTask = {
    ...{ ...usual, ...folder('base'), args, secrets, upstreams: [], needs: [] },
    externals: [{ reference: 'docker.io/library/debian:12', range: { start: 5, end: 14 } }],
  };
  const app: BuildTask = {
    ...{ ...usual, ...folder('app'), args: {}, secrets: [], needs: [base.id] },
    upstreams: [{ task: base.id, reference: 'docker.io/o/base', range: { start: 5, end: 11 } }],
  };
  return { version: 1, family: 'f', publish: 'image', failedPlatform: 'hold', gates: [], tasks: [base, app] };
}

async function explain(plan = planOf()): Promise<Map<string, BuildReason>> {
  const explained = await explainBuilds(plan, worldOf(plan), never);
  if (!explained.ok) throw new Error(JSON.stringify(explained.failure));
  const { builds, there } = explained.value;
  expect(there).toEqual(new Set([...builds].flatMap(([id, { state }]) => (state === 'there' ? [id] : []))));
  return builds;
}

const lines = async (plan?: Plan): Promise<string[]> => [...(await explain(plan)).values()].map(describeReason);

function worldOf({ tasks }: Plan) {
  const builds = tasks.flatMap((task) => (task.kind === 'build' ? [task] : []));
  const headManifest: RegistryClient['headManifest'] = async ({ tag }) => {
    const digest = digests[`debian:${tag}`];
    return ok(digest ? { mediaType: 'application/vnd.oci.image.index.v1+json', digest, size: 1 } : undefined);
  };
  return {
    ...{ registry: client, registryAddress: server.address, clock: systemClock, parts: openParts(join(root, 'keys')) },
    readInputs: createInputReader({
      ...{
        tasks: builds,
        cache: join(root, 'contexts'),
        registry: { headManifest },
        clock: systemClock,
        signal: never,
      },
    }),
  };
}

/** What a build leaves: an image under its key, and what it was made of. */
async function done(plan: Plan, image: string): Promise<void> {
  const task = plan.tasks.find((one) => one.image === image);
  const key = (await explain(plan)).get(`build ${image} linux/amd64`)?.key;
  if (task?.kind !== 'build' || key === undefined) throw new Error(`no key of ${image}`);
  const manifest = await imageOf(task, key);
  const at = { registry: server.address, repository: task.repository, tag: keyTag(key) };
  const put = await client.putManifest(at, manifest, 'application/vnd.oci.image.manifest.v1+json', never);
  if (!put.ok) throw new Error(JSON.stringify(put.failure));
  const inputs = await worldOf(plan).readInputs(task);
  if (!inputs.ok) throw new Error('unread');
  const parent = sha256('parent');
  const prepared = prepareBuild(task, inputs.value, () => ({ repository: 'o/base', digest: parent }));
  const top = {
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: put.value.digest,
    size: put.value.size,
  };
  await openParts(join(root, 'keys')).keep(task, {
    ...{ key, parts: prepared.parts, image: { top, child: { descriptor: top, attestations: [] } } },
  });
}

async function imageOf({ repository }: BuildTask, layer: string): Promise<Uint8Array> {
  const at = { registry: server.address, repository };
  const blobs = [Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64' })), Buffer.from(layer)];
  const described = await Promise.all(
    blobs.map(async (blob) => {
      const descriptor = { digest: sha256(blob), size: blob.length };
      await client.putBlob(at, descriptor, () => Readable.from([blob]), never);
      return { mediaType: 'application/octet-stream', ...descriptor };
    }),
  );
  const [config, only] = described;
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config,
      layers: [only],
    }),
  );
}

test('where nothing was ever built, that is what it says; of children, that their parent will be', async () => {
  expect(await lines()).toEqual([
    'will be built: no build with this key in the registry (no local record of the last one)',
    'will be built: because its parent base linux/amd64 will be built',
  ]);
});

test('what is there is there', async () => {
  await done(planOf(), 'base');
  await done(planOf(), 'app');
  expect(await lines()).toEqual(Array(2).fill('is there already: its key is in the registry'));
});

test.each<[string, () => Plan | undefined, string]>([
  ['a file', () => void writeFileSync(join(root, 'base/data'), 'two'), 'data changed'],
  ['a mode', () => void chmodSync(join(root, 'base/data'), 0o755), 'data has mode 755, had 644'],
  ['a new file', () => void writeFileSync(join(root, 'base/more'), ''), 'more is new'],
  ['a lost file', () => void rmSync(join(root, 'base/data')), 'data is gone'],
  [
    'a line of the Dockerfile',
    () => void writeFileSync(join(root, 'base/Dockerfile'), 'FROM debian:12\nCOPY data /d\n'),
    'line 2 of its Dockerfile changed: COPY data /d',
  ],
  ['an argument', () => planOf({ V: '2' }), "arg V is '2'"],
  ['a secret', () => planOf({}, ['TOKEN']), 'it is given other secrets'],
  [
    'somebody else’s base',
    () => {
      digests = { 'debian:12': sha256('debian, mended') };
      return undefined;
    },
    `docker.io/library/debian:12 is another image now (${sha256('debian, mended')})`,
  ],
  [
    'a base that can’t be asked for',
    () => {
      digests = {};
      return undefined;
    },
    "docker.io/library/debian:12 can't be pinned to a digest, so that it is built in every run (it is not in its registry)",
  ],
])('of what has changed, %s is named', async (_, change, why) => {
  chmodSync(join(root, 'base/data'), 0o644);
  await done(planOf(), 'base');
  const plan = change() ?? planOf();
  expect((await lines(plan))[0]).toBe(`will be built: ${why}`);
});

test('of many files, three are named and the others counted', async () => {
  await done(planOf(), 'base');
  mkdirSync(join(root, 'base/new'));
  for (let number = 0; number < 10; number += 1) writeFileSync(join(root, `base/new/${number}`), '');
  expect((await explain()).get('build base linux/amd64')?.why).toEqual([
    'new/0 is new',
    'new/1 is new',
    'new/2 is new',
    '7 more files changed',
  ]);
});

test('where the registry has lost the last build, that is why', async () => {
  await done(planOf(), 'base');
  const key = (await explain()).get('build base linux/amd64')?.key ?? '';
  await client.deleteManifest({ registry: server.address, repository: 'o/base', tag: keyTag(key) }, never);
  expect((await lines())[0]).toBe('will be built: nothing has changed, but the registry has its last build no more');
});
