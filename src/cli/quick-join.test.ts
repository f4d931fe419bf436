// The quick way joins where nothing is out of the ordinary, with five requests; everything else it leaves, and the whole command does it.
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { blobOf, imageManifest, type ScriptedServer, type Seen, scriptedServer } from '../registry/testing.ts';
import { quickJoin } from './quick-join.ts';

interface World {
  /** What the registry has, by path. */
  there: Map<string, { type: string; bytes: Buffer }>;
  /** Answers what is out of the ordinary: true where it did. */
  answer: (request: Seen, response: ServerResponse) => boolean;
}

let world: World;
let server: ScriptedServer;
let folder: string;

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const indexType = 'application/vnd.oci.image.index.v1+json';
const digestOf = (bytes: Buffer): string => `sha256:${hash('sha256', bytes)}`;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'splitbuild-quick-'));
  const there: World['there'] = new Map();
  server = await scriptedServer((request, response) => {
    if (world.answer(request, response)) return;
    if (request.method === 'PUT') {
      there.set(request.url, { type: String(request.headers['content-type']), bytes: request.body });
      response.writeHead(201, { 'docker-content-digest': digestOf(request.body), 'content-length': 0 }).end();
      return;
    }
    const { type, bytes } = there.get(request.url) ?? { type: '', bytes: Buffer.from('{}') };
    const headers = { 'content-type': type, 'docker-content-digest': digestOf(bytes), 'content-length': bytes.length };
    response.writeHead(type === '' ? 404 : 200, headers).end(bytes);
  });
  world = { there, answer: () => false };
  for (const architecture of ['amd64', 'arm64']) push(`1-${architecture}`, architecture);
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function put(repository: string, tag: string, type: string, bytes: Buffer): void {
  for (const name of [tag, digestOf(bytes)]) world.there.set(`/v2/${repository}/manifests/${name}`, { type, bytes });
}

function push(tag: string, architecture: string, repository = 'app'): Buffer {
  const config = Buffer.from(JSON.stringify({ os: 'linux', architecture, tag }));
  const manifest = imageManifest(config, [Buffer.from(`layer of ${architecture}`)]);
  world.there.set(`/v2/${repository}/blobs/${digestOf(config)}`, { type: 'application/octet-stream', bytes: config });
  put(repository, tag, manifestType, manifest);
  return manifest;
}

const usual = (): string[] => ['1', '1-amd64', '1-arm64'].map((tag) => `${server.host}/app:${tag}`);
const puts = (): Seen[] => server.seen.filter(({ method }) => method === 'PUT');

async function quick(args: string[], env: NodeJS.ProcessEnv = {}): Promise<{ done: boolean; printed: string }> {
  let printed = '';
  const done = await quickJoin(['--config', join(folder, 'none'), ...args], env, (text) => {
    printed += text;
  });
  return { done, printed };
}

/** The command as it is called, from its source. */
async function command(args: string[]): Promise<{ code: number | undefined; out: string; err: string }> {
  const words = [join(import.meta.dirname, 'start.ts'), 'join', '--config', join(folder, 'none'), ...args];
  const env = { NO_COLOR: '1', DOCKER_CONFIG: folder };
  const { exitCode, stdout, stderr } = await execa(process.execPath, words, {
    env,
    reject: false,
    stripFinalNewline: false,
  });
  return { code: exitCode, out: stdout, err: stderr };
}

test('two images are joined with five requests, and the whole command gives the same', async () => {
  const { done, printed } = await quick(usual());
  expect(done).toBe(true);
  expect(server.seen.map(({ method, url }) => `${method} ${url.replace(/sha256:.*/, '…')}`).sort()).toEqual([
    'GET /v2/app/blobs/…',
    'GET /v2/app/blobs/…',
    'GET /v2/app/manifests/1-amd64',
    'GET /v2/app/manifests/1-arm64',
    'PUT /v2/app/manifests/1',
  ]);
  const [put] = puts();
  expect(JSON.parse(String(put?.body))).toMatchObject({
    mediaType: indexType,
    manifests: [
      { platform: { os: 'linux', architecture: 'amd64' } },
      { platform: { os: 'linux', architecture: 'arm64' } },
    ],
  });
  const list = join(folder, 'list');
  writeFileSync(list, usual().join(' '));
  const whole = await command(['--from', list]);
  expect(whole).toMatchObject({ code: 0, out: printed });
  expect(puts()[1]?.body).toEqual(put?.body);
});

describe('it is left to the whole command, and nothing is put, where', () => {
  const answers =
    (status: number, headers = {}) =>
    (_: Seen, response: ServerResponse) => {
      response.writeHead(status, { 'content-length': 0, ...headers }).end();
      return true;
    };
  test.each<[string, () => unknown]>([
    [
      'a login is asked for',
      () => {
        world.answer = answers(401, { 'www-authenticate': 'Basic realm="r"' });
      },
    ],
    [
      'it leads elsewhere',
      () => {
        world.answer = answers(307, { location: '/elsewhere' });
      },
    ],
    [
      'it is asked too often',
      () => {
        world.answer = answers(429, { 'retry-after': '1' });
      },
    ],
    ['there is no such image', () => world.there.delete('/v2/app/manifests/1-arm64')],
    ['two are of one platform', () => push('1-arm64', 'amd64')],
    [
      'the bytes have another digest than the registry names',
      () => {
        world.answer = ({ url }, response) => {
          if (!url.endsWith('1-arm64')) return false;
          const bytes = imageManifest(Buffer.from('{}'), []);
          response.writeHead(200, {
            'docker-content-digest': digestOf(Buffer.from('x')),
            'content-length': bytes.length,
          });
          response.end(bytes);
          return true;
        };
      },
    ],
    [
      'a config is another than was asked for',
      () => {
        for (const [path, blob] of world.there)
          if (path.includes('/blobs/')) blob.bytes = Buffer.from('{"os":"linux","architecture":"s390x"}');
      },
    ],
    ['a config names no platform', () => pushConfig('{}')],
    [
      'a manifest has a shape that is none',
      () => put('app', '1-arm64', manifestType, Buffer.from('{"schemaVersion":2}')),
    ],
    [
      'a manifest says more than the plainest does',
      () => put('app', '1-arm64', manifestType, imageManifest(Buffer.from('{}'), [], { artifactType: 'a/b' })),
    ],
    ['one is an index with an attestation', () => put('app', '1-arm64', indexType, attested())],
    [
      'the connection breaks',
      () => {
        world.answer = (_, response) => {
          response.destroy();
          return true;
        };
      },
    ],
  ])('%s', async (_what, make) => {
    make();
    expect(await quick(usual())).toEqual({ done: false, printed: '' });
    expect(puts()).toEqual([]);
  });

  test.each<[string, () => string[]]>([
    [
      'an image lies in another repository',
      () => {
        push('1-arm64', 'arm64', 'other');
        return [...usual().slice(0, 2), `${server.host}/other:1-arm64`];
      },
    ],
    ['a platform is missing', () => ['--platform', 'linux/amd64', '--platform', 'linux/s390x', ...usual()]],
    [
      'there is a config',
      () => {
        writeFileSync(join(folder, 'there'), '');
        return ['--config', join(folder, 'there'), ...usual()];
      },
    ],
    ['an option is none of the plain case', () => ['--from', 'list']],
    ['the command line is wrong', () => usual().slice(0, 1)],
    ['the registry speaks HTTPS', () => usual().map((name) => name.replace(server.host, 'registry.example'))],
  ])('%s', async (_what, args) => {
    expect(await quick(args())).toEqual({ done: false, printed: '' });
    expect(puts()).toEqual([]);
  });

  test('there is a proxy on the way', async () => {
    const args = ['--plain-http', ...usual().map((name) => name.replace(server.host, 'registry.example'))];
    expect(await quick(args, { http_proxy: `http://${server.host}` })).toEqual({ done: false, printed: '' });
    expect(server.seen).toEqual([]);
  });
});

test('it is left to the whole command where what was put isn’t confirmed', async () => {
  world.answer = ({ method }, response) => {
    if (method !== 'PUT') return false;
    response.writeHead(201, { 'content-length': 0 }).end();
    return true;
  };
  expect(await quick(usual())).toEqual({ done: false, printed: '' });
});

describe('the whole command takes over', () => {
  test('with a login', async () => {
    const authorization = `Basic ${Buffer.from('who:secret').toString('base64')}`;
    world.answer = ({ headers }, response) => {
      if (headers.authorization === authorization) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"', 'content-length': 0 }).end();
      return true;
    };
    writeFileSync(
      join(folder, 'config.json'),
      JSON.stringify({ auths: { [server.host]: { auth: authorization.slice(6) } } }),
    );
    expect(await command(usual())).toMatchObject({ code: 0, err: '' });
    expect(puts()).toHaveLength(1);
  });

  test('and says what is wrong', async () => {
    push('1-arm64', 'amd64');
    const { code, out, err } = await command(usual());
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(`${server.host}/app:1-amd64 and ${server.host}/app:1-arm64 are both for linux/amd64`);
    expect(puts()).toEqual([]);
  });

  test('and opens an index with an attestation', async () => {
    put('app', '1-arm64', indexType, attested());
    const { code, out } = await command(['--json', ...usual()]);
    expect(code).toBe(0);
    expect(JSON.parse(out).platforms).toMatchObject([
      { attestations: 0 },
      { platform: 'linux/arm64', attestations: 1 },
    ]);
  });
});

function pushConfig(text: string): void {
  const config = Buffer.from(text);
  world.there.set(`/v2/app/blobs/${digestOf(config)}`, { type: 'application/octet-stream', bytes: config });
  put('app', '1-arm64', manifestType, imageManifest(config, []));
}

/** As BuildKit pushes one platform. */
function attested(): Buffer {
  const image = push('image', 'arm64');
  const of = {
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': digestOf(image),
    },
  };
  const attestation = push('attestation', 'unknown');
  const manifests = [
    { mediaType: manifestType, ...blobOf(image) },
    { mediaType: manifestType, ...blobOf(attestation), ...of },
  ];
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests }));
}
