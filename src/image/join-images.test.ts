// Joining by hand, on a registry in memory that counts what it is asked.
import { Readable } from 'node:stream';
import { beforeEach, expect, test } from 'vitest';
import { createCopier } from '../copy/copier.ts';
import { createSimulatedRegistry, type SimulatedRegistry } from '../registry/simulated.ts';
import { sha256 } from './digest.ts';
import { type Bring, joinImages } from './join-images.ts';
import { type Descriptor, mediaTypes } from './oci.ts';
import type { Reference } from './reference.ts';

const signal = new AbortController().signal;
const registryName = 'r.example';
const at = (tag: string, repository = 'team/app'): Reference => ({ registry: registryName, repository, tag });
const wanted = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
];

let registry: SimulatedRegistry;
let asked: Record<string, number>;
beforeEach(() => {
  registry = createSimulatedRegistry();
  asked = {};
});

const client = () =>
  registry.client((operation) => {
    asked[operation] = (asked[operation] ?? 0) + 1;
    return undefined;
  });
const bring: Bring = (from, to) => createCopier(client(), client()).copy(from, to, {}, signal);
const join = (sources: Reference[], more: { target?: Reference; wanted?: typeof wanted } = {}) =>
  joinImages(client(), { target: at('1'), sources, wanted: [], ...more }, bring, signal);

async function put(reference: Reference, json: object, mediaType: string): Promise<Descriptor> {
  const done = await registry.client().putManifest(reference, Buffer.from(JSON.stringify(json)), mediaType, signal);
  if (!done.ok) throw new Error(JSON.stringify(done.failure));
  const { digest, size } = done.value;
  return { mediaType, digest, size };
}

async function push(reference: Reference, architecture: string): Promise<Descriptor> {
  const blobs: Descriptor[] = [];
  for (const text of [JSON.stringify({ os: 'linux', architecture }), `layer of ${architecture}`]) {
    const bytes = Buffer.from(text);
    const descriptor = { mediaType: 'application/octet-stream', digest: sha256(bytes), size: bytes.length };
    await registry.client().putBlob(reference, descriptor, () => Readable.from([bytes]), signal);
    blobs.push(descriptor);
  }
  const [config, ...layers] = blobs;
  return put(
    reference,
    { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers },
    mediaTypes.ociManifest,
  );
}

test('two images become one of two platforms with five requests', async () => {
  const [amd64, arm64] = [await push(at('1-amd64'), 'amd64'), await push(at('1-arm64'), 'arm64')];
  const joined = await join([at('1-amd64'), at('1-arm64')], { wanted });
  expect(joined).toMatchObject({
    ok: true,
    value: {
      platforms: [
        { platform: { os: 'linux', architecture: 'amd64' }, digest: amd64.digest, attestations: 0 },
        { platform: { os: 'linux', architecture: 'arm64' }, digest: arm64.digest, attestations: 0 },
      ],
    },
  });
  expect(asked).toEqual({ get: 2, blob: 2, put: 1 });
  expect(joined.ok && joined.value.digest).toBe(registry.tags('team/app').get('1'));
});

test('the image and the attestations of an index are carried along', async () => {
  const image = await push(at('plain'), 'amd64');
  const attestation = {
    ...(await push(at('attestation'), 'unknown')),
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': image.digest },
  };
  const manifests = [{ ...image, platform: { os: 'linux', architecture: 'amd64' } }, attestation];
  await put(at('1-amd64'), { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  await push(at('1-arm64'), 'arm64');
  const joined = await join([at('1-amd64'), at('1-arm64')]);
  expect(joined.ok && joined.value.platforms.map(({ attestations }) => attestations)).toEqual([1, 0]);
  const index = await registry.client().getManifest(at('1'), signal);
  expect(index.ok && index.value.content).toMatchObject({
    manifests: [{ digest: image.digest }, {}, { digest: attestation.digest, annotations: attestation.annotations }],
  });
});

test('an image of another repository is brought into that of the tag', async () => {
  await push(at('1', 'build/amd64'), 'amd64');
  await push(at('1', 'build/arm64'), 'arm64');
  const joined = await join([at('1', 'build/amd64'), at('1', 'build/arm64')]);
  expect(joined.ok).toBe(true);
  expect(registry.tags('team/app').get('1')).toBe(joined.ok && joined.value.digest);
});

test.each([
  [
    'two images of one platform',
    ['1-amd64', 'same'],
    'r.example/team/app:1-amd64 and r.example/team/app:same are both for linux/amd64',
  ],
  ['a platform that is missing', ['1-amd64'], 'no source is for linux/arm64'],
  ['a platform that was not asked for', ['1-amd64', '1-arm64', '1-s390x'], 'linux/s390x was not asked for'],
  [
    'an image of several platforms',
    ['several', '1-arm64'],
    'it is an image of several platforms: linux/amd64, linux/arm64',
  ],
])('%s is refused, and no tag moves', async (_what, tags, message) => {
  for (const name of ['amd64', 'arm64', 's390x']) await push(at(`1-${name}`), name);
  await push(at('same'), 'amd64');
  await join([at('1-amd64'), at('1-arm64')], { target: at('several') });
  const refused = await join(
    tags.map((tag) => at(tag)),
    { wanted },
  );
  expect(refused).toMatchObject({ ok: false, failure: { kind: 'verification', message } });
  expect(registry.tags('team/app').get('1')).toBeUndefined();
});
