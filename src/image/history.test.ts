// Images as Docker, BuildKit and Buildah write them, made by hand, with a value planted in each place that can be read.
import { expect, test } from 'vitest';
import { fail, ok } from '../failure.ts';
import { sha256 } from './digest.ts';
import { secretsIn } from './history.ts';
import { type Descriptor, type Digest, indexSchema, manifestSchema, mediaTypes } from './oci.ts';
import type { ImageStore } from './store.ts';

const repository = { registry: 'r.example', repository: 'o/a' };
const signal = new AbortController().signal;
const value = 'canary-77/+&';

const blobs = new Map<string, Buffer>();

function put(content: object | string, mediaType: string, annotations?: Record<string, string>): Descriptor {
  const bytes = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  const digest = sha256(bytes);
  blobs.set(digest, bytes);
  return { mediaType, digest, size: bytes.length, ...(annotations ? { annotations } : {}) };
}

function image(
  config: object | string,
  annotations: Record<string, string> = {},
  layers: Descriptor[] = [],
): Descriptor {
  return put(
    { schemaVersion: 2, config: put(config, mediaTypes.ociConfig), layers, annotations },
    mediaTypes.ociManifest,
  );
}

const store: ImageStore = {
  async getManifest({ digest = '' }) {
    const bytes = blobs.get(digest);
    if (!bytes) return fail({ kind: 'registry', transient: false, status: 404, message: 'not found' });
    const json: unknown = JSON.parse(bytes.toString('utf8'));
    const index = indexSchema.safeParse(json);
    const mediaType = index.success ? mediaTypes.ociIndex : mediaTypes.ociManifest;
    const content = index.success ? index.data : manifestSchema.parse(json);
    return ok({ descriptor: { mediaType, digest, size: bytes.length }, bytes, content });
  },
  hasBlob: async (_, digest) => ok(blobs.has(digest)),
  async readBlob(_, digest) {
    const bytes = blobs.get(digest);
    return bytes ? ok(bytes) : fail({ kind: 'registry', transient: false, status: 404, message: 'not found' });
  },
};

async function places(of: Digest | Descriptor, values = [value]): Promise<string[]> {
  const found = await secretsIn(store, repository, of, values, signal);
  if (!found.ok) throw new Error(JSON.stringify(found.failure));
  return found.value;
}

const clean = { os: 'linux', architecture: 'amd64', config: { Env: ['PATH=/bin'], Cmd: ['sh'] } };

test('an image without the value is clean, and without values none is read', async () => {
  const history = [{ created_by: 'RUN --mount=type=secret,id=TOKEN sh -c "cat /run/secrets/TOKEN"' }];
  expect(await places(image({ ...clean, history }))).toEqual([]);
  expect(await places(sha256(Buffer.from('nothing')), [])).toEqual([]);
});

test.each<[string, object]>([
  ['history[1].created_by', { history: [{ created_by: 'x' }, { created_by: `|1 TOKEN=${value} /bin/sh -c make` }] }],
  ['history[0].comment', { history: [{ comment: value }] }],
  ['history[0].created_by', { history: [{ created_by: `RUN curl -u ci:${encodeURIComponent(value)}` }] }],
  ['config.Env FOO', { config: { Env: ['A=b', `FOO=x${value}`] } }],
  ['config.Env', { config: { Env: [`${value}=x`] } }],
  ['config.Cmd', { config: { Cmd: ['curl', '-H', `Authorization: Basic ${btoa(`ci:${value}`)}`] } }],
  ['label org.example', { config: { Labels: { 'org.example': value } } }],
  ['label', { config: { Labels: { [value]: 'x' } } }],
  ['container_config.Env FOO', { container_config: { Env: [`FOO=${value}`] } }],
  ['author', { author: value }],
])('%s', async (place, config) => {
  expect(await places(image({ ...clean, ...config }))).toEqual([place]);
});

test('annotations: of the manifest, of a layer, of the entry in an index, of the index, and of the descriptor that is asked for', async () => {
  const layer = put('layer', 'application/vnd.oci.image.layer.v1.tar', { l: value });
  const entry = { ...image(clean, { m: value }, [layer]), annotations: { e: value } };
  const index = put({ schemaVersion: 2, manifests: [entry], annotations: { i: value } }, mediaTypes.ociIndex);
  expect(await places({ ...index, annotations: { d: value, [value]: '' } })).toEqual([
    ...['annotation d', 'annotation', 'annotation i', 'annotation e', 'annotation m', 'annotation l'],
  ]);
});

test('the provenance that BuildKit puts beside an image names the build’s arguments', async () => {
  const statement = {
    predicateType: 'https://slsa.dev/provenance/v0.2',
    predicate: { invocation: { parameters: { args: { 'build-arg:TOKEN': value } } } },
  };
  const type = { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2' };
  const layer = put(statement, 'application/vnd.in-toto+json', type);
  const attestation = {
    ...image({ os: 'unknown', architecture: 'unknown' }, {}, [layer]),
    annotations: { 'vnd.docker.reference.type': 'attestation-manifest', 'vnd.docker.reference.digest': 'sha256:x' },
  };
  const index = put({ schemaVersion: 2, manifests: [image(clean), attestation] }, mediaTypes.ociIndex);
  expect(await places(index.digest)).toEqual(['provenance predicate.invocation.parameters']);
});

test('a config that can’t be read is a failure, and none that is nested without end stops the search', async () => {
  expect(await secretsIn(store, repository, image('no JSON'), [value], signal)).toMatchObject({
    failure: { kind: 'verification' },
  });
  const depth = 20_000;
  const deep = `{"os":"linux","x":${'['.repeat(depth)}${JSON.stringify(value)}${']'.repeat(depth)}}`;
  expect(await places(image(deep))).toEqual(['x.0']);
  expect(await secretsIn(store, repository, sha256(Buffer.from('nothing')), [value], signal)).toMatchObject({
    failure: { status: 404 },
  });
});
