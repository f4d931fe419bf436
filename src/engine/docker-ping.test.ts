import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pingSocket } from './docker-ping.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ping-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const never = new AbortController().signal;

async function answering(listener: RequestListener, use: (socket: string) => Promise<void>): Promise<void> {
  const socket = join(folder, 'docker.sock');
  const server = createServer(listener);
  await new Promise<void>((resolve) => void server.listen(socket, resolve));
  try {
    await use(socket);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => void server.close(resolve));
  }
}

test('an engine is asked by its API’s ping, once', async () => {
  const asked: string[] = [];
  await answering(
    (request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.end('OK');
    },
    async (socket) => {
      expect(await pingSocket(socket, 'unix://there', never)).toEqual({ ok: true, value: undefined });
    },
  );
  expect(asked).toEqual(['GET /_ping']);
});

test('one that says it is in trouble does not answer as it should, in its own words', async () => {
  await answering(
    (_request, response) => void response.writeHead(500).end('shutting down'),
    async (socket) => {
      expect(await pingSocket(socket, 'unix://there', never)).toMatchObject({
        failure: { kind: 'engine', transient: true, message: 'no Docker Engine answers: 500 shutting down' },
      });
    },
  );
});

test('where nobody listens, none answers', async () => {
  expect(await pingSocket(join(folder, 'none.sock'), 'unix://there', never)).toMatchObject({
    failure: { kind: 'engine', transient: true, message: expect.stringContaining('ENOENT'), where: 'unix://there' },
  });
});

test('one that takes the question and says nothing is waited for until the signal', async () => {
  await answering(
    () => undefined,
    async (socket) => {
      expect(await pingSocket(socket, 'unix://there', AbortSignal.timeout(50))).toEqual({
        ok: false,
        failure: { kind: 'cancelled' },
      });
    },
  );
});
