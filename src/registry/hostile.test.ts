// Registries that mean harm, or are broken so that it looks like it: each costs bounded memory and time, and ends in a failure.
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from 'vitest';
import type { Failure, Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { streamFailure } from '../image/store.ts';
import { verifyIndex } from '../image/verify.ts';
import { createRegistryClient, type RegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { blobOf, imageManifest, instantClock, noise, opener, type Seen, scriptedServer, value } from './testing.ts';
import type { Patience } from './transport.ts';

const signal = AbortSignal.timeout(120_000);
const repository = 'a';
const chunk = Buffer.alloc(64 << 10, 0x20);
const manifest = imageManifest(Buffer.from('{}'), []);
let ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
});

async function serve(answer: (request: Seen, response: ServerResponse, nth: number) => void) {
  const server = await scriptedServer(answer);
  ends.push(server.close);
  return server;
}

const quick: Partial<Patience> = { head: 300, body: 400, silence: 300, trickle: 400 };
function client(patience: Partial<Patience> = quick): RegistryClient {
  return createRegistryClient({ plainHttp: () => true, credentials: anonymous, patience, ...instantClock() });
}

/** Of what is too much, not too slow: that it comes late on a machine with other work is no matter. */
const patient = (): RegistryClient => client({});

const get = (host: string, by = client()) => by.getManifest({ registry: host, repository, tag: 'v1' }, signal);

/** Fills the response without end, as fast as it is taken. */
function flood(response: ServerResponse, bytes = chunk): void {
  const more = (): void => {
    while (!response.destroyed) if (!response.write(bytes)) return;
  };
  response.on('drain', more);
  response.on('error', () => undefined);
  more();
}

/** A byte now and then, without end. */
function drip(response: ServerResponse): void {
  const timer = setInterval(() => response.write(' '), 50);
  response.on('close', () => clearInterval(timer));
}

/** Runs it, and fails where memory grew by more than so many MB at any time, or it took longer than so many s. */
async function bounded<T>(work: () => Promise<T>, { megabytes = 64, seconds = 10 } = {}): Promise<T> {
  const used = (): number => {
    const { heapUsed, external } = process.memoryUsage();
    return (heapUsed + external) / 1e6;
  };
  const before = used();
  const began = performance.now();
  let most = before;
  const watch = setInterval(() => {
    most = Math.max(most, used());
  }, 10);
  const result = await work().finally(() => clearInterval(watch));
  expect(Math.max(most, used()) - before).toBeLessThan(megabytes);
  expect(performance.now() - began).toBeLessThan(seconds * 1000);
  return result;
}

function failureIn(result: Result<unknown>): Exclude<Failure, { kind: 'diagnostics' | 'cancelled' }> {
  if (result.ok) throw new Error('it was taken for good');
  if (result.failure.kind === 'diagnostics' || result.failure.kind === 'cancelled')
    throw new Error(result.failure.kind);
  return result.failure;
}

async function drained(stream: Readable): Promise<Failure | number | undefined> {
  let size = 0;
  try {
    for await (const bytes of stream) size += bytes.length;
    return size;
  } catch (error) {
    return streamFailure(error);
  }
}

describe('an answer without end', () => {
  test.each([200, 404, 500])('is not kept, whatever its status: %i', async (status) => {
    const server = await serve((_, response) => {
      response.writeHead(status, { 'content-type': mediaTypes.ociManifest });
      flood(response);
    });
    const failure = failureIn(await bounded(() => get(server.host, patient())));
    if (status === 200) expect(failure).toMatchObject({ kind: 'verification', where: `${server.host}/a:v1` });
    else expect(failure).toMatchObject({ kind: 'registry', status });
  });

  test('is not waited for when it comes in drips', async () => {
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest });
      drip(response);
    });
    expect(failureIn(await bounded(() => get(server.host), { seconds: 5 }))).toMatchObject({
      kind: 'registry',
      message: expect.stringContaining('too slowly'),
    });
  });

  test('of a refusal in drips still tells what it is', async () => {
    const server = await serve((_, response) => {
      response.writeHead(403, { 'content-length': '60000' });
      drip(response);
    });
    const failure = failureIn(await bounded(() => get(server.host), { seconds: 15 }));
    expect(failure).toMatchObject({ kind: 'registry', status: 403 });
  }, 20_000);

  test('that says it has 2 GB is not begun', async () => {
    let sent = 0;
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest, 'content-length': String(2e9) });
      response.on('drain', () => {
        sent += chunk.length;
        response.write(chunk);
      });
      response.write(chunk);
      response.on('error', () => undefined);
    });
    expect(failureIn(await bounded(() => get(server.host)))).toMatchObject({ kind: 'verification' });
    expect(sent).toBeLessThan(16e6);
  });

  test('of a token server is not kept', async () => {
    const tokens = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('{"token":"');
      flood(response, Buffer.alloc(64 << 10, 0x61));
    });
    const server = await serve((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${tokens.host}/token"` }).end(),
    );
    expect(failureIn(await bounded(() => get(server.host)))).toMatchObject({ kind: 'verification' });
  });

  test('is no head: headers in drips, and headers without end', async () => {
    for (const line of ['x: y\r\n', `x: ${'y'.repeat(4000)}\r\n`]) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\n');
        const timer = setInterval(() => socket.write(line), 20);
        socket.on('close', () => clearInterval(timer));
      });
      await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
      ends.push(() => new Promise((done) => server.close(done)));
      const address = server.address();
      const host = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
      expect(failureIn(await bounded(() => get(host), { seconds: 40 }))).toMatchObject({ kind: 'registry' });
    }
  }, 90_000);
});

describe('an answer that lies', () => {
  test.each([
    { name: 'shorter than it says', headers: { 'content-length': String(manifest.length + 10) } },
    { name: 'longer than it says', headers: { 'content-length': String(manifest.length - 10) } },
    { name: 'of another digest', headers: { 'docker-content-digest': sha256('another') } },
    { name: 'of a digest that is none', headers: { 'docker-content-digest': 'sha256:../../etc/passwd' } },
  ])('is refused: $name', async ({ headers }) => {
    const server = await serve((_, response) => {
      response.strictContentLength = false;
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest, ...headers });
      response.write(manifest, () => response.destroy());
    });
    expect(failureIn(await bounded(() => get(server.host)))).toMatchObject({
      kind: expect.stringMatching(/registry|verification/),
    });
  });

  test('of bytes that unpack to a thousand times as many is not unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(256e6));
    const server = await serve((_, response) =>
      response.writeHead(200, { 'content-type': mediaTypes.ociManifest, 'content-encoding': 'gzip' }).end(bomb),
    );
    expect(failureIn(await bounded(() => get(server.host, patient())))).toMatchObject({ kind: 'verification' });
    const blob = { digest: sha256('what was asked for'), size: bomb.length };
    const stream = value(await patient().getBlob({ registry: server.host, repository }, blob, signal));
    expect(await bounded(() => drained(stream))).toMatchObject({ kind: 'verification' });
  });

  test('to HEAD is found out when the manifest is read, and a digest that is none at once', async () => {
    let digest = sha256('something else');
    const server = await serve((request, response) => {
      response.writeHead(200, {
        'content-type': mediaTypes.ociManifest,
        ...(request.method === 'HEAD' ? { 'docker-content-digest': digest, 'content-length': '7' } : {}),
      });
      response.end(request.method === 'HEAD' ? undefined : manifest);
    });
    const reference = { registry: server.host, repository, tag: 'v1' };
    const told = value(await client().headManifest(reference, signal));
    expect(told).toMatchObject({ digest, size: 7 });
    expect(failureIn(await client().getManifest({ ...reference, digest }, signal))).toMatchObject({
      kind: 'verification',
    });
    digest = 'sha256:abc';
    expect(value(await client().headManifest(reference, signal))).toMatchObject({
      digest: sha256(manifest),
      size: manifest.length,
    });
  });
});

describe('a blob', () => {
  const wanted = noise(200_000);
  const at = async (answer: Parameters<typeof serve>[0]) => ({ registry: (await serve(answer)).host, repository });

  test('longer than its descriptor is not read to its end', async () => {
    const registry = await at((_, response) => flood(response));
    const stream = value(await client().getBlob(registry, blobOf(wanted), signal));
    expect(await bounded(() => drained(stream))).toMatchObject({
      kind: 'verification',
      message: expect.stringContaining('longer'),
    });
  });

  test('in drips is not waited for, connection after connection', async () => {
    const registry = await at((_, response) => drip(response));
    const stream = value(await client().getBlob(registry, blobOf(wanted), signal));
    expect(await bounded(() => drained(stream), { seconds: 5 })).toMatchObject({
      kind: 'registry',
      message: expect.stringMatching(/the download came to \d+ bytes in/),
    });
  });

  test('whose reader takes its time is no trickle', async () => {
    const registry = await at((_, response) => response.end(wanted));
    const stream = value(await client({ ...quick, silence: 5000 }).getBlob(registry, blobOf(wanted), signal));
    let size = 0;
    for await (const bytes of stream) {
      size += bytes.length;
      await delay(200);
    }
    expect(size).toBe(wanted.length);
  });

  test('that takes long but flows arrives, also where it takes longer than an answer’s head may', async () => {
    const registry = await at(async (_, response) => {
      for (let from = 0; from < wanted.length; from += 20_000) {
        response.write(wanted.subarray(from, from + 20_000));
        await delay(150);
      }
      response.end();
    });
    const patient = client({ head: 200, body: 200, silence: 5000, trickle: 5000 });
    const stream = value(await patient.getBlob(registry, blobOf(wanted), signal));
    expect(await drained(stream)).toBe(wanted.length);
  });

  test('that ends too early each time is given up', async () => {
    const registry = await at((_, response) => response.end());
    const stream = value(await client().getBlob(registry, blobOf(wanted), signal));
    expect(await bounded(() => drained(stream))).toMatchObject({ kind: 'registry', transient: true });
  });

  test('is not sent to an upload that never answers', async () => {
    const registry = await at((request, response) => {
      if (request.method === 'POST') response.writeHead(202, { location: '/upload' }).end();
    });
    const pushed = client().putBlob(registry, blobOf(wanted), opener(wanted), AbortSignal.timeout(1000));
    expect((await bounded(() => pushed)).ok).toBe(false);
  });
});

describe('a way without end', () => {
  test('of redirects is left, and an address that is none is told', async () => {
    for (const location of [undefined, 'http://[', 'ftp://example.org/', 'http:///', '//']) {
      const server = await serve((_, response, nth) =>
        response.writeHead(302, { location: location ?? `/next/${nth}` }).end(),
      );
      expect(failureIn(await bounded(() => get(server.host)))).toMatchObject({ kind: 'registry', transient: false });
      expect(server.seen.length).toBeLessThanOrEqual(6);
    }
  });

  test('of pages of tags is left', async () => {
    const server = await serve((_, response, nth) => {
      const link = `</v2/a/tags/list?page=${nth}>; rel="next"`;
      response.writeHead(200, { link }).end(JSON.stringify({ tags: [`v${nth}`] }));
    });
    const listed = await bounded(() => patient().listTags({ registry: server.host, repository }, signal), {
      seconds: 30,
    });
    expect(failureIn(listed)).toMatchObject({ kind: 'verification', message: expect.stringContaining("doesn't end") });
  }, 40_000);

  test('of tags is left', async () => {
    const server = await serve((_, response, nth) => {
      const tags = Array.from({ length: 20_000 }, (__, index) => `v${nth}-${index}-${'x'.repeat(100)}`);
      response.writeHead(200, { link: `</v2/a/tags/list?page=${nth}>; rel="next"` }).end(JSON.stringify({ tags }));
    });
    const listed = await bounded(() => patient().listTags({ registry: server.host, repository }, signal), {
      megabytes: 200,
    });
    expect(failureIn(listed)).toMatchObject({ kind: 'verification' });
  }, 40_000);

  test('of days until it may be asked again is not waited for', async () => {
    const server = await serve((_, response) => response.writeHead(429, { 'retry-after': '864000' }).end());
    expect(failureIn(await bounded(() => get(server.host)))).toMatchObject({
      kind: 'registry',
      transient: false,
      message: expect.stringContaining('10 days'),
    });
    expect(server.seen).toHaveLength(1);
  });

  test('of refusals that ask for no wait is left', async () => {
    const server = await serve((_, response) => response.writeHead(429, { 'retry-after': '0' }).end());
    expect(failureIn(await bounded(() => get(server.host)))).toMatchObject({ kind: 'registry', status: 429 });
    expect(server.seen.length).toBeLessThan(20);
  });
});

describe('an index', () => {
  const entry = (digest: string, size: number, mediaType: string) => ({ mediaType, digest, size });
  const indexOf = (manifests: object[]): Buffer =>
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));

  test('of thousands of entries is not followed', async () => {
    const many = Array.from({ length: 40_000 }, (_, nth) => entry(sha256(`${nth}`), 1, mediaTypes.ociManifest));
    const server = await serve((_, response) =>
      response.writeHead(200, { 'content-type': mediaTypes.ociIndex }).end(indexOf(many)),
    );
    const reference = { registry: server.host, repository, tag: 'v1' };
    expect(failureIn(await bounded(() => verifyIndex(client(), reference, [], signal)))).toMatchObject({
      kind: 'verification',
      message: 'it names 40000 manifests; 1000 are read at most',
    });
    expect(server.seen).toHaveLength(1);
  });

  test('in an index in an index is followed one step', async () => {
    let inner = manifest;
    const all = new Map<string, Buffer>();
    for (let depth = 0; depth < 200; depth += 1) {
      all.set(sha256(inner), inner);
      inner = indexOf([entry(sha256(inner), inner.length, depth === 0 ? mediaTypes.ociManifest : mediaTypes.ociIndex)]);
    }
    const server = await serve((request, response) =>
      response.writeHead(200).end(all.get(request.url.split('/').at(-1) ?? '') ?? inner),
    );
    const reference = { registry: server.host, repository, tag: 'v1' };
    expect(failureIn(await bounded(() => verifyIndex(client(), reference, [], signal)))).toMatchObject({
      kind: 'verification',
    });
    expect(server.seen.length).toBeLessThan(5);
  });

  test('nested a million deep as JSON is no crash', async () => {
    const deep = `{"schemaVersion":2,"manifests":${'['.repeat(1e6)}${']'.repeat(1e6)}}`;
    const server = await serve((_, response) =>
      response.writeHead(200, { 'content-type': mediaTypes.ociIndex }).end(deep),
    );
    expect(failureIn(await bounded(() => get(server.host), { megabytes: 200 }))).toMatchObject({
      kind: 'verification',
    });
  });
});
