import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pingSocket } from './buildkit-ping.ts';

let folder: string;
let socket: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ping-'));
  socket = join(folder, 'buildkitd.sock');
});
afterEach(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;
const grpc = { ':status': 200, 'content-type': 'application/grpc' };

async function listening(server: Http2Server | Server, use: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => void server.listen(socket, resolve));
  try {
    await use();
  } finally {
    await new Promise((resolve) => void server.close(resolve));
  }
}

function answering(answer: (stream: ServerHttp2Stream, path: string | undefined) => void): Http2Server {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    answer(stream, headers[':path']);
  });
  return server;
}

function withStatus(message: Buffer, status: Record<string, string>): Http2Server {
  return answering((stream) => {
    stream.respond(grpc, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers(status));
    stream.end(message);
  });
}

test('a BuildKit is asked by gRPC’s health check, and says that it serves', async () => {
  const asked: (string | undefined)[] = [];
  const server = answering((stream, path) => {
    asked.push(path);
    stream.respond(grpc);
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
  });
  await listening(server, async () => {
    expect(await pingSocket(socket, 'unix://there', never)).toEqual({ ok: true, value: undefined });
  });
  expect(asked).toEqual(['/grpc.health.v1.Health/Check']);
});

test('one that is too old to say how it is answers all the same', async () => {
  const server = answering((stream) => stream.respond({ ...grpc, 'grpc-status': '12' }, { endStream: true }));
  await listening(server, async () => {
    expect(await pingSocket(socket, 'unix://there', never)).toEqual({ ok: true, value: undefined });
  });
});

test('one that does not serve is not well, and neither is one in trouble, in its own words', async () => {
  const notServing = withStatus(Buffer.from([0, 0, 0, 0, 2, 8, 2]), { 'grpc-status': '0' });
  await listening(notServing, async () => {
    expect(await pingSocket(socket, 'unix://there', never)).toMatchObject({
      failure: { kind: 'engine', transient: true, message: 'no BuildKit answers: it is not serving (0)' },
    });
  });
  const shutting = withStatus(Buffer.alloc(0), { 'grpc-status': '14', 'grpc-message': 'shutting down' });
  await listening(shutting, async () => {
    expect(await pingSocket(socket, 'unix://there', never)).toMatchObject({
      failure: { kind: 'engine', transient: true, message: 'no BuildKit answers: shutting down' },
    });
  });
});

test('something else on the socket is no BuildKit, and where nobody listens, none answers', async () => {
  await listening(
    createHttpServer((_request, response) => void response.end('OK')),
    async () => {
      expect(await pingSocket(socket, 'unix://there', never)).toMatchObject({
        failure: { kind: 'engine', where: 'unix://there' },
      });
    },
  );
  expect(await pingSocket(join(folder, 'none.sock'), 'unix://there', never)).toMatchObject({
    failure: { kind: 'engine', transient: true, message: expect.stringContaining('ENOENT') },
  });
});

test('one that takes the question and says nothing is waited for until the signal', async () => {
  const asked = Promise.withResolvers<void>();
  await listening(
    answering(() => asked.resolve()),
    async () => {
      const stop = new AbortController();
      const answer = pingSocket(socket, 'unix://there', stop.signal);
      await asked.promise;
      stop.abort();
      expect(await answer).toEqual({ ok: false, failure: { kind: 'cancelled' } });
      expect(await pingSocket(socket, 'unix://there', stop.signal)).toEqual({
        ok: false,
        failure: { kind: 'cancelled' },
      });
    },
  );
});
