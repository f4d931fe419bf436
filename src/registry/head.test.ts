// HEADs on bare connections: which answers are taken there, and which are left to undici.
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { DeadlineError } from './body.ts';
import { createPlainHead } from './head.ts';

const running: Server[] = [];
afterEach(() => {
  for (const server of running.splice(0)) server.close();
});

/** A server that answers each request on a connection with the next text; `asked` has the requests, `connections` counts. */
async function answering(...texts: string[]) {
  const seen = { asked: [] as string[], connections: 0 };
  const server = createServer((socket: Socket) => {
    seen.connections += 1;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      seen.asked.push(chunk.toString());
      const text = texts[seen.asked.length - 1];
      if (text !== undefined) socket.write(text);
    });
  });
  running.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { seen, url: new URL(`http://127.0.0.1:${port}/v2/a/manifests/x`) };
}

const there = 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nDocker-Content-Digest: sha256:a\r\n\r\n';
const { signal } = new AbortController();

describe('on one connection', () => {
  test('one after the other is asked', async () => {
    const { seen, url } = await answering(there, 'HTTP/1.1 404 Not Found\r\nContent-Length: 99\r\n\r\n', there);
    const head = createPlainHead({});
    expect(await head(url, { accept: 'x' }, 1000, signal)).toEqual({
      statusCode: 200,
      headers: { 'content-length': '1234', 'docker-content-digest': 'sha256:a' },
      body: undefined,
    });
    expect((await head(url, {}, 1000, signal))?.statusCode).toBe(404);
    expect((await head(url, {}, 1000, signal))?.statusCode).toBe(200);
    expect(seen.connections).toBe(1);
    expect(seen.asked[0]).toBe(`HEAD /v2/a/manifests/x HTTP/1.1\r\nhost: ${url.host}\r\naccept: x\r\n\r\n`);
  });

  test('nothing more is asked where the server closes it', async () => {
    const { seen, url } = await answering(there.replace('\r\n\r\n', '\r\nConnection: Close\r\n\r\n'), there);
    const head = createPlainHead({});
    expect((await head(url, {}, 1000, signal))?.statusCode).toBe(200);
    expect((await head(url, {}, 1000, signal))?.statusCode).toBe(200);
    expect(seen.connections).toBe(2);
  });
});

describe('left to undici is', () => {
  test.each([
    ['an interim answer', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['a header that is there twice', 'HTTP/1.1 200 OK\r\nVary: a\r\nVary: b\r\n\r\n'],
    ['a body', `${there}{}`],
    ['something else than HTTP/1.1', 'HTTP/1.0 200 OK\r\n\r\n'],
  ])('a host that answers with %s, from then on', async (_what, text) => {
    const { seen, url } = await answering(text, there);
    const head = createPlainHead({});
    expect(await head(url, {}, 1000, signal)).toBeUndefined();
    expect(await head(url, {}, 1000, signal)).toBeUndefined();
    expect(seen.asked).toHaveLength(1);
  });

  test('a header with another in it', async () => {
    const { seen, url } = await answering(there);
    const head = createPlainHead({});
    expect(await head(url, { authorization: 'Bearer x\r\nx-other: y' }, 1000, signal)).toBeUndefined();
    expect(seen.asked).toHaveLength(0);
  });

  test('a host that TLS is spoken with, or a proxy stands before', async () => {
    const secure = createPlainHead({});
    expect(await secure(new URL('https://127.0.0.1:1/'), {}, 1000, signal)).toBeUndefined();
    const proxied = createPlainHead({ http_proxy: 'http://proxy.example:3128' });
    expect(await proxied(new URL('http://registry.example/'), {}, 1000, signal)).toBeUndefined();
    const { seen, url } = await answering(there);
    expect((await proxied(url, {}, 1000, signal))?.statusCode).toBe(200);
    expect(seen.asked).toHaveLength(1);
  });
});

test('what comes in drips, or not at all, is late', async () => {
  const { url } = await answering('HTTP/1.1 200 OK\r\nContent-');
  await expect(createPlainHead({})(url, {}, 50, signal)).rejects.toThrow(DeadlineError);
});

test('a cancelled one ends, and nobody else is kept from asking so', async () => {
  const { url } = await answering('HTTP/1.1 200 OK\r\n', there);
  const head = createPlainHead({});
  const cancelled = new AbortController();
  const asked = head(url, {}, 5000, cancelled.signal);
  setTimeout(() => cancelled.abort(), 20);
  await expect(asked).rejects.toThrow();
  expect((await head(url, {}, 1000, signal))?.statusCode).toBe(200);
});
