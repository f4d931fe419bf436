// Joining, reading back and verifying, over images made by hand in a store that is a map.
import { expect, test } from 'vitest';
import { fail, ok } from '../failure.ts';
import { sha256 } from './digest.ts';
import { type Child, composeIndex } from './join.ts';
import { type Descriptor, indexSchema, manifestSchema, mediaTypes } from './oci.ts';
import { type Platform, parsePlatform } from './platform.ts';
import { readPlatformImage } from './read.ts';
import type { ImageStore } from './store.ts';
import { inspectImage, verifyIndex } from './verify.ts';

const repository = { registry: 'r.example', repository: 'team/app' };
const signal = new AbortController().signal;

function platform(text: string): Platform {
  const parsed = parsePlatform(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

class Store implements ImageStore {
  readonly manifests = new Map<string, { mediaType: string; bytes: Buffer }>();
  readonly blobs = new Map<string, Buffer>();

  putBlob(bytes: Buffer, mediaType: string): Descriptor {
    const digest = sha256(bytes);
    this.blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  putManifest(content: object, mediaType: string, tag?: string): Descriptor {
    const bytes = Buffer.from(JSON.stringify(content));
    const digest = sha256(bytes);
    this.manifests.set(digest, { mediaType, bytes });
    if (tag) this.manifests.set(tag, { mediaType, bytes });
    return { mediaType, digest, size: bytes.length };
  }

  /** An image of one platform, whose layer is its own name. */
  image(config: object, mediaType: string = mediaTypes.ociManifest, tag?: string): Descriptor {
    const layer = this.putBlob(
      Buffer.from(`layer of ${JSON.stringify(config)}`),
      'application/vnd.oci.image.layer.v1.tar',
    );
    const described = this.putBlob(Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig);
    return this.putManifest({ schemaVersion: 2, mediaType, config: described, layers: [layer] }, mediaType, tag);
  }

  /** As BuildKit pushes it: an image with its attestation, under an index. */
  attested(config: object, tag: string): { image: Descriptor; attestation: Descriptor } {
    const image = this.image(config);
    const statement = this.putBlob(Buffer.from(`{"of":"${image.digest}"}`), 'application/vnd.in-toto+json');
    const empty = this.putBlob(Buffer.from('{"architecture":"unknown","os":"unknown"}'), mediaTypes.ociConfig);
    const attestation = {
      ...this.putManifest({ schemaVersion: 2, config: empty, layers: [statement] }, mediaTypes.ociManifest),
      platform: { architecture: 'unknown', os: 'unknown' },
      annotations: {
        'vnd.docker.reference.type': 'attestation-manifest',
        'vnd.docker.reference.digest': image.digest,
      },
    };
    this.putManifest({ schemaVersion: 2, manifests: [image, attestation] }, mediaTypes.ociIndex, tag);
    return { image, attestation };
  }

  async getManifest(reference: { tag?: string; digest?: string }) {
    const stored = this.manifests.get(reference.digest ?? reference.tag ?? 'latest');
    if (!stored) return fail({ kind: 'registry', transient: false, status: 404, message: 'not found' });
    const json: unknown = JSON.parse(stored.bytes.toString());
    const content =
      stored.mediaType === mediaTypes.ociIndex || stored.mediaType === mediaTypes.dockerList
        ? indexSchema.parse(json)
        : manifestSchema.parse(json);
    const { bytes, mediaType } = stored;
    return ok({ descriptor: { mediaType, digest: sha256(bytes), size: bytes.length }, bytes, content });
  }

  async hasBlob(_repository: object, digest: string) {
    return ok(this.blobs.has(digest));
  }

  async readBlob(_repository: object, digest: string) {
    const bytes = this.blobs.get(digest);
    return bytes ? ok(bytes) : fail({ kind: 'registry', transient: false, status: 404, message: 'not found' });
  }
}

const amd = { os: 'linux', architecture: 'amd64' };
const arm = { os: 'linux', architecture: 'arm64', variant: 'v8' };

async function read(store: Store, tag: string, wanted: string): Promise<Child> {
  const child = await readPlatformImage(store, { ...repository, tag }, platform(wanted), signal);
  if (!child.ok) throw new Error(JSON.stringify(child.failure));
  return child.value;
}

/** Joins and stores; gives the reference of what was made. */
function join(store: Store, children: Child[]) {
  const index = composeIndex(children);
  store.manifests.set(index.digest, { mediaType: index.mediaType, bytes: Buffer.from(index.bytes) });
  return { ...repository, digest: index.digest };
}

test('two single manifests are joined in their order, with the platforms that their configs name', async () => {
  const store = new Store();
  const one = store.image(amd, mediaTypes.ociManifest, 'one');
  const two = store.image(arm, mediaTypes.ociManifest, 'two');
  const index = composeIndex([await read(store, 'one', 'linux/amd64'), await read(store, 'two', 'linux/arm64')]);
  expect(index.mediaType).toBe(mediaTypes.ociIndex);
  expect(JSON.parse(Buffer.from(index.bytes).toString())).toEqual({
    schemaVersion: 2,
    mediaType: mediaTypes.ociIndex,
    manifests: [
      { ...one, platform: { os: 'linux', architecture: 'amd64' } },
      { ...two, platform: { os: 'linux', architecture: 'arm64' } },
    ],
  });
});

test('Docker images make a Docker list; one OCI image among them makes an OCI index', async () => {
  const store = new Store();
  store.image(amd, mediaTypes.dockerManifest, 'one');
  store.image(arm, mediaTypes.dockerManifest, 'two');
  store.image({ os: 'linux', architecture: '386' }, mediaTypes.ociManifest, 'three');
  const docker = [await read(store, 'one', 'linux/amd64'), await read(store, 'two', 'linux/arm64')];
  expect(composeIndex(docker).mediaType).toBe(mediaTypes.dockerList);
  expect(composeIndex([...docker, await read(store, 'three', 'linux/386')]).mediaType).toBe(mediaTypes.ociIndex);
});

test('an index that an engine pushed is opened: its image and its attestation are carried over', async () => {
  const store = new Store();
  const { image, attestation } = store.attested(amd, 'pushed');
  store.image(arm, mediaTypes.ociManifest, 'two');
  const reference = join(store, [await read(store, 'pushed', 'linux/amd64'), await read(store, 'two', 'linux/arm64')]);
  const made = await store.getManifest(reference);
  expect(made.ok && 'manifests' in made.value.content && made.value.content.manifests).toMatchObject([
    { digest: image.digest, platform: { architecture: 'amd64' } },
    { platform: { architecture: 'arm64' } },
    { digest: attestation.digest, annotations: { 'vnd.docker.reference.digest': image.digest } },
  ]);
  const verified = await verifyIndex(store, reference, [platform('linux/amd64'), platform('linux/arm64')], signal);
  expect(verified).toMatchObject({
    ok: true,
    value: { platforms: [{ attestations: [attestation.digest] }, { attestations: [] }] },
  });
});

test.each([
  ['linux/arm64', 'says in its config that it is for linux/amd64'],
  ['linux/386', 'says in its config that it is for linux/amd64'],
])('an image of another platform than %s is refused', async (wanted, message) => {
  const store = new Store();
  store.image(amd, mediaTypes.ociManifest, 'one');
  const child = await readPlatformImage(store, { ...repository, tag: 'one' }, platform(wanted), signal);
  expect(child).toMatchObject({
    ok: false,
    failure: { kind: 'verification', message: expect.stringContaining(message) },
  });
});

test('arm variants must agree, and v7 is what none means', async () => {
  const store = new Store();
  store.image({ os: 'linux', architecture: 'arm', variant: 'v6' }, mediaTypes.ociManifest, 'six');
  store.image({ os: 'linux', architecture: 'arm' }, mediaTypes.ociManifest, 'seven');
  expect(await readPlatformImage(store, { ...repository, tag: 'six' }, platform('linux/arm/v7'), signal)).toMatchObject(
    { ok: false },
  );
  expect((await read(store, 'seven', 'linux/arm/v7')).descriptor.platform).toMatchObject({ variant: 'v7' });
});

test('verification tells everything that is wrong at once', async () => {
  const store = new Store();
  const one = store.image(amd);
  const liar = {
    ...store.image({ os: 'linux', architecture: '386' }),
    platform: { os: 'linux', architecture: 'arm64' },
  };
  const layer = [...store.blobs].find(
    ([, bytes]) => bytes.toString().includes('"amd64"') && bytes.toString().startsWith('layer'),
  );
  store.blobs.delete(layer?.[0] ?? '');
  store.putManifest({ schemaVersion: 2, manifests: [one, one, liar] }, mediaTypes.ociIndex, 'bad');
  const verified = await verifyIndex(
    store,
    { ...repository, tag: 'bad' },
    ['linux/amd64', 'linux/arm64'].map(platform),
    signal,
  );
  if (verified.ok || verified.failure.kind !== 'verification') throw new Error('accepted');
  expect(verified.failure.message.split('; ')).toEqual([
    'the image is not whole: linux/amd64 is there 2 times',
    'linux/arm64 is missing',
    `${liar.digest} is listed as linux/arm64, but its config says linux/386`,
    `linux/amd64: blob ${layer?.[0]} is missing`,
  ]);
});

test('inspecting a single manifest shows its one platform and its size', async () => {
  const store = new Store();
  const image = store.image(amd, mediaTypes.ociManifest, 'one');
  const size = [...store.blobs.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  expect(await inspectImage(store, { ...repository, tag: 'one' }, signal)).toMatchObject({
    ok: true,
    value: { digest: image.digest, platforms: [{ platform: { architecture: 'amd64' }, size, layers: [{}] }] },
  });
});
