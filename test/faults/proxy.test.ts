// The fault proxy does to a request what it is told, and nothing to the others.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from './proxy.ts';

let registry: Server;
let proxy: FaultProxy;
/** Bodies of the requests that came through, as far as they came. */
let got: string[];

beforeEach(async () => {
  got = [];
  registry = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('close', () => got.push(body));
    request.on('end', () => response.setHeader('x-from', 'registry').end('0123456789'));
    request.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  proxy = await startFaultProxy({
    listen: { host: '127.0.0.1', port: 0 },
    target: { host: '127.0.0.1', port: (registry.address() as AddressInfo).port },
    words: ['hush'],
  });
});
afterEach(async () => {
  await proxy.close();
  registry.closeAllConnections();
  await new Promise((resolve) => registry.close(resolve));
});

const put = (body: string): Promise<Response> => fetch(`http://${proxy.address}/v2/x`, { method: 'PUT', body });

test('what no rule is for passes as it is', async () => {
  const answer = await put('hello');
  expect([answer.status, answer.headers.get('x-from'), await answer.text()]).toEqual([200, 'registry', '0123456789']);
  expect(got).toEqual(['hello']);
  expect(proxy.seen).toMatchObject([{ method: 'PUT', path: '/v2/x', status: 200 }]);
});

test('an answer of its own has the status and Retry-After, and the registry hears nothing', async () => {
  proxy.decide = ({ method }) => (method === 'PUT' ? { do: 'answer', status: 429, retryAfter: 3 } : undefined);
  const answer = await put('hello');
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '3']);
  expect(await answer.json()).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] });
  expect(got).toEqual([]);
  expect((await fetch(`http://${proxy.address}/v2/x`)).status).toBe(200);
});

test('a reset reaches the client alone; of a lost answer the registry has done the work', async () => {
  proxy.decide = () => ({ do: 'reset' });
  await expect(put('one')).rejects.toThrow();
  expect(got).toEqual([]);
  proxy.decide = () => ({ do: 'lose' });
  await expect(put('two')).rejects.toThrow();
  expect(got).toEqual(['two']);
});

test('of a truncated answer half arrives, and of a truncated request', async () => {
  proxy.decide = () => ({ do: 'truncate' });
  const answer = await fetch(`http://${proxy.address}/v2/x`);
  const reader = answer.body?.getReader();
  expect(Buffer.from((await reader?.read())?.value ?? '').toString()).toBe('01234');
  await expect(reader?.read()).rejects.toThrow();
  got = [];
  await expect(put('abcdefgh')).rejects.toThrow();
  await expect.poll(() => got).toEqual(['abcd']);
});

test('a delay is one, and the answer comes after it', async () => {
  proxy.decide = () => ({ do: 'delay', ms: 150 });
  const started = performance.now();
  expect((await put('hello')).status).toBe(200);
  expect(performance.now() - started).toBeGreaterThan(140);
});

test('where no registry answers, the connection is reset, or 502 said', async () => {
  registry.closeAllConnections();
  await new Promise((resolve) => registry.close(resolve));
  await expect(put('hello')).rejects.toThrow();
  proxy.whenDown = 502;
  expect((await put('hello')).status).toBe(502);
});

test('a word that must not pass is noticed, and so is where', async () => {
  await put('nothing');
  expect(proxy.leaks).toEqual([]);
  await put('now hush now');
  expect(proxy.leaks).toEqual(['PUT /v2/x']);
});
