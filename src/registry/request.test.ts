// How long a request hangs on to the signal that it was made under: as long as its answer's body is open, and no longer.
import { getEventListeners } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { Agent } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { sendRequest } from './request.ts';
import { scriptedServer } from './testing.ts';

/** A server that sends half of a body of 8 bytes, and the rest of `/whole`. */
async function serve() {
  const server = await scriptedServer(({ url }, response) => {
    if (url === '/silent') return;
    response.writeHead(200, { 'content-length': 8 }).write('half');
    if (url === '/whole') response.end('half');
  });
  const dispatcher = new Agent();
  onTestFinished(async () => {
    await dispatcher.destroy();
    await server.close();
  });
  return (path: string, late: number | undefined, signal: AbortSignal) =>
    sendRequest(dispatcher, { origin: `http://${server.host}`, path, method: 'GET' }, late, signal);
}

test('a signal that outlives its requests keeps nothing of them, whether they are answered or not', async () => {
  const send = await serve();
  const { signal } = new AbortController();
  const { body } = await send('/whole', 5_000, signal);
  expect(body && String(await buffer(body))).toBe('halfhalf');
  await expect(send('/silent', 20, signal)).rejects.toMatchObject({ code: 'SPLITBUILD_DEADLINE' });
  await expect.poll(() => getEventListeners(signal, 'abort')).toEqual([]);
});

test('a body ends with the signal, however long after its head, and not with the deadline of that', async () => {
  const send = await serve();
  const cancelled = new AbortController();
  const { body } = await send('/half', 50, cancelled.signal);
  await new Promise((done) => setTimeout(done, 100));
  expect(body?.destroyed).toBe(false);
  cancelled.abort(new Error('that is enough'));
  await expect(body && buffer(body)).rejects.toThrow('that is enough');
  await expect.poll(() => getEventListeners(cancelled.signal, 'abort')).toEqual([]);
});

test('nothing is sent under a signal that is aborted already', async () => {
  const send = await serve();
  await expect(send('/whole', undefined, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});
