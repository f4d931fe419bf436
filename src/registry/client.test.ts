// The client against answers that no well-behaved registry gives on demand: rate limits, lies, redirects, silence.
import { afterEach, describe, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { createRegistryClient, type RegistryClient, type RegistryClientOptions } from './client.ts';
import { anonymous } from './credentials.ts';
import {
  blobOf,
  imageManifest,
  instantClock,
  noise,
  opener,
  type ScriptedServer,
  scriptedServer,
  value,
} from './testing.ts';

const signal = AbortSignal.timeout(30_000);
const repository = 'team/app';
const manifest = imageManifest(Buffer.from('{}'), []);
const open: ScriptedServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

async function serve(answer: Parameters<typeof scriptedServer>[0]): Promise<ScriptedServer> {
  const server = await scriptedServer(answer);
  open.push(server);
  return server;
}

function clientWith(options: RegistryClientOptions = {}): RegistryClient & { slept: number[] } {
  const clock = instantClock();
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...clock, ...options });
  return { ...client, slept: clock.slept };
}

describe('trying again', () => {
  const busy = (status: number, times: number, headers = {}) =>
    serve((_, response, nth) => {
      if (nth <= times) response.writeHead(status, headers).end();
      else response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest);
    });

  test.each([
    { name: 'seconds', after: '7', slept: [7000, 7000] },
    { name: 'a date, which is past the second time', after: 'Wed, 25 Nov 2026 02:00:09 GMT', slept: [9000] },
  ])('waits as long as Retry-After says: $name', async ({ after, slept }) => {
    const server = await busy(429, 2, { 'retry-after': after });
    const client = clientWith();
    value(await client.getManifest({ registry: server.host, repository, tag: 'v1' }, signal));
    expect(client.slept).toEqual(slept);
  });

  test('backs off exponentially, and gives up after five attempts', async () => {
    const server = await busy(503, 99);
    const client = clientWith();
    const read = await client.getManifest({ registry: server.host, repository, tag: 'v1' }, signal);
    expect(read).toMatchObject({ ok: false, failure: { kind: 'registry', transient: true, status: 503 } });
    expect(client.slept).toEqual([250, 500, 1000, 2000]);
  });

  test('after a 500, repeats what may be done twice: reading, and putting a manifest, but not the beginning of an upload', async () => {
    const server = await busy(500, 99);
    const client = clientWith();
    const reference = { registry: server.host, repository, tag: 'v1' };
    await client.getManifest(reference, signal);
    expect(server.seen).toHaveLength(5);
    await client.putManifest(reference, manifest, mediaTypes.ociManifest, signal);
    expect(server.seen).toHaveLength(10);
    await client.mountBlob(reference, `sha256:${'a'.repeat(64)}`, 'other/place', signal);
    expect(server.seen).toHaveLength(11);
  });

  test('repeats after a connection that broke, in the middle of an answer too', async () => {
    const server = await serve((_, response, nth) => {
      if (nth === 1) response.destroy();
      else if (nth === 2)
        response
          .writeHead(200, { 'content-length': manifest.length })
          .write(manifest.subarray(0, 9), () => response.destroy());
      else response.writeHead(200).end(manifest);
    });
    const read = await clientWith().getManifest({ registry: server.host, repository, tag: 'v1' }, signal);
    expect(value(read).descriptor.digest).toBe(sha256(manifest));
  });

  test('ends at once when it is cancelled while it waits', async () => {
    const server = await busy(503, 99);
    const controller = new AbortController();
    const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
    const read = client.getManifest({ registry: server.host, repository, tag: 'v1' }, controller.signal);
    setTimeout(() => controller.abort(), 50);
    expect(await read).toEqual({ ok: false, failure: { kind: 'cancelled' } });
  });

  test('ends at once when it is cancelled while the registry is silent', async () => {
    const server = await serve(() => undefined);
    const controller = new AbortController();
    const read = clientWith().getManifest({ registry: server.host, repository, tag: 'v1' }, controller.signal);
    setTimeout(() => controller.abort(), 50);
    expect(await read).toEqual({ ok: false, failure: { kind: 'cancelled' } });
  });
});

describe('checking what it gets', () => {
  test.each([
    { name: 'another digest than was asked for', reference: { digest: sha256('other') }, headers: {} },
    {
      name: 'another digest than its header says',
      reference: { tag: 'v1' },
      headers: { 'docker-content-digest': sha256('x') },
    },
  ])('refuses a manifest of $name', async ({ reference, headers }) => {
    const server = await serve((_, response) => response.writeHead(200, headers).end(manifest));
    const read = await clientWith().getManifest({ registry: server.host, repository, ...reference }, signal);
    expect(read).toMatchObject({ ok: false, failure: { kind: 'verification' } });
  });

  test('refuses a manifest that is none, and one without end', async () => {
    const server = await serve((request, response) => {
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest });
      if (request.url.endsWith('page')) response.end('<html>');
      else if (request.url.endsWith('half')) response.end('{"schemaVersion":2,"layers":[]}');
      else response.end(Buffer.alloc(9 << 20, ' '));
    });
    for (const tag of ['page', 'half', 'endless']) {
      const read = await clientWith().getManifest({ registry: server.host, repository, tag }, signal);
      expect(read).toMatchObject({ ok: false, failure: { kind: 'verification' } });
    }
  });

  test('gets a manifest to know its digest where HEAD doesn’t tell', async () => {
    const server = await serve((_, response) =>
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest),
    );
    const head = await clientWith().headManifest({ registry: server.host, repository, tag: 'v1' }, signal);
    expect(value(head)).toEqual({ mediaType: mediaTypes.ociManifest, digest: sha256(manifest), size: manifest.length });
    expect(server.seen.map((request) => request.method)).toEqual(['HEAD', 'GET']);
  });

  test('refuses a small blob with another digest', async () => {
    const server = await serve((_, response) => response.writeHead(200).end('other'));
    const read = await clientWith().readBlob({ registry: server.host, repository }, sha256('one'), signal);
    expect(read).toMatchObject({ ok: false, failure: { kind: 'verification' } });
  });
});

describe('explaining', () => {
  const reference = (registry: string) => ({ registry, repository, tag: 'v1' });

  test('a refusal carries the registry’s code and words, and says how to log in', async () => {
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: 'requested access is denied' }] });
    const server = await serve((_, response) => response.writeHead(403).end(body));
    expect(await clientWith().getManifest(reference(server.host), signal)).toEqual({
      ok: false,
      failure: {
        kind: 'registry',
        transient: false,
        status: 403,
        code: 'DENIED',
        message: `${server.host} answered 403 (DENIED: requested access is denied)`,
        where: `${server.host}/team/app:v1`,
        help: `run 'docker login ${server.host}' as a user who may do this there`,
      },
    });
  });

  test('plain HTTP behind HTTPS gets the setting to write', async () => {
    const server = await serve((_, response) => response.end());
    const read = await clientWith({ plainHttp: () => false }).getManifest(reference(server.host), signal);
    expect(read).toMatchObject({
      failure: {
        transient: false,
        help: `if it is to be plain HTTP: registries: { "${server.host}": { plainHttp: true } }`,
      },
    });
  });

  test('nobody listens', async () => {
    const server = await serve(() => undefined);
    await server.close();
    open.length = 0;
    const read = await clientWith().getManifest(reference(server.host), signal);
    expect(read).toMatchObject({
      failure: { transient: true, message: `nothing listens at ${server.host}, tried 5 times` },
    });
  });
});

describe('redirects', () => {
  test('a blob is followed to another host, and the login isn’t', async () => {
    const blob = noise(100);
    const store = await serve((_, response) => response.writeHead(200).end(blob));
    const server = await serve((request, response) => {
      if (!request.headers.authorization) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      else response.writeHead(307, { location: `http://${store.host}/signed?x=1` }).end();
    });
    const credentials: RegistryClientOptions['credentials'] = {
      get: async () => ({ ok: true, value: { kind: 'basic', username: 'ada', password: 'secret' } }),
    };
    const at = { registry: server.host, repository };
    const read = await clientWith({ credentials }).readBlob(at, blobOf(blob).digest, signal);
    expect(Buffer.from(value(read)).equals(blob)).toBe(true);
    expect(store.seen).toHaveLength(1);
    expect(store.seen[0]?.headers.authorization).toBeUndefined();
  });

  test('a circle of redirects ends', async () => {
    const server = await serve((request, response) => response.writeHead(302, { location: request.url }).end());
    const read = await clientWith().readBlob({ registry: server.host, repository }, sha256('x'), signal);
    expect(read).toMatchObject({ ok: false, failure: { kind: 'registry', transient: false } });
  });
});

describe('listing tags', () => {
  test('follows pages, and neither to another host nor in a circle', async () => {
    const server = await serve((request, response) => {
      const last = new URL(request.url, 'http://x').searchParams.get('last');
      const links = new Map([
        [null, '</v2/team/app/tags/list?last=b>; rel="next"'],
        ['b', '<list?last=c>; rel=next'],
        ['c', '<list?last=b>; rel="next"'],
      ]);
      const tags = new Map([
        [null, ['a', 'b']],
        ['b', ['c']],
        ['c', ['d']],
      ]).get(last);
      response.writeHead(200, { link: links.get(last) ?? '' }).end(JSON.stringify({ name: repository, tags }));
    });
    expect(value(await clientWith().listTags({ registry: server.host, repository }, signal))).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
    const other = await serve((_, response) =>
      response.writeHead(200, { link: `<http://${server.host}/x>; rel="next"` }).end('{"tags":null}'),
    );
    expect(value(await clientWith().listTags({ registry: other.host, repository }, signal))).toEqual([]);
  });
});

test('a mount that became an upload is cancelled', async () => {
  const server = await serve((request, response) => {
    if (request.method === 'POST') response.writeHead(202, { location: '/upload/1?state=x' }).end();
    else response.writeHead(204).end();
  });
  const to = { registry: server.host, repository };
  expect(value(await clientWith().mountBlob(to, sha256('x'), 'other', signal))).toBe(false);
  expect(server.seen.map((request) => `${request.method} ${request.url}`)).toEqual([
    `POST /v2/team/app/blobs/uploads/?mount=${encodeURIComponent(sha256('x'))}&from=other`,
    'DELETE /upload/1?state=x',
  ]);
});

test('an upload’s location keeps its own query, and may be on another host, which gets no login', async () => {
  const blob = noise(1000);
  const store = await serve((_, response) => response.writeHead(201).end());
  const server = await serve((request, response) => {
    if (!request.headers.authorization) response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
    else response.writeHead(202, { location: `http://${store.host}/up?state=a%2Bb` }).end();
  });
  const credentials: RegistryClientOptions['credentials'] = {
    get: async () => ({ ok: true, value: { kind: 'basic', username: 'ada', password: 'secret' } }),
  };
  const at = { registry: server.host, repository };
  value(await clientWith({ credentials }).putBlob(at, blobOf(blob), opener(blob), signal));
  const [put] = store.seen;
  expect(put?.url).toBe(`/up?state=a%2Bb&digest=${encodeURIComponent(blobOf(blob).digest)}`);
  expect(put?.headers.authorization).toBeUndefined();
  expect(put?.body.equals(blob)).toBe(true);
});
