// Logging in, against a registry and a token server that write down what they were sent.
import { afterEach, expect, test } from 'vitest';
import { ok } from '../failure.ts';
import { mediaTypes } from '../image/oci.ts';
import { realmOf } from './auth.ts';
import { createRegistryClient, type RegistryClient } from './client.ts';
import type { Credential } from './credentials.ts';
import { imageManifest, instantClock, type ScriptedServer, type Seen, scriptedServer, value } from './testing.ts';

const signal = AbortSignal.timeout(30_000);
const manifest = imageManifest(Buffer.from('{}'), []);
let servers: ScriptedServer[] = [];

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  servers = [];
});

/** A registry whose tokens are `token-1`, `token-2`… ; `refuse` says which it no longer takes. */
async function tokenRegistry(options: { refuse?: (token: string) => boolean; status?: number } = {}) {
  const asked: Seen[] = [];
  const tokens = await scriptedServer((request, response) => {
    asked.push(request);
    if (options.status) response.writeHead(options.status).end('{"details":"incorrect username or password"}');
    else response.end(JSON.stringify({ token: `token-${asked.length}`, expires_in: 300 }));
  });
  const registry = await scriptedServer((request, response) => {
    const token = /^Bearer (token-\d+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (token === undefined || options.refuse?.(token)) {
      const challenge = `Bearer realm="http://${tokens.host}/token",service="registry.example",scope="repository:a/b:pull"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
    } else if (request.method === 'POST') response.writeHead(201).end();
    else response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest);
  });
  servers.push(tokens, registry);
  return { host: registry.host, asked, seen: registry.seen };
}

function clientAs(credential: Credential | undefined): RegistryClient {
  const credentials = { get: async () => ok(credential) };
  return createRegistryClient({ plainHttp: () => true, credentials, ...instantClock() });
}

test('an anonymous token is fetched once for a scope and sent with every request', async () => {
  const { host, asked, seen } = await tokenRegistry();
  const client = clientAs(undefined);
  const reference = { registry: host, repository: 'a/b', tag: 'v1' };
  await Promise.all([1, 2, 3].map(async () => value(await client.getManifest(reference, signal))));
  value(await client.getManifest(reference, signal));
  expect(asked.map((request) => request.url)).toEqual([
    '/token?service=registry.example&scope=repository%3Aa%2Fb%3Apull',
  ]);
  expect(asked[0]?.headers.authorization).toBeUndefined();
  expect(seen.at(-1)?.headers.authorization).toBe('Bearer token-1');
});

test('a password is sent to the token server, not to the registry', async () => {
  const { host, asked, seen } = await tokenRegistry();
  const client = clientAs({ kind: 'basic', username: 'ada', password: 'pass:word' });
  value(await client.getManifest({ registry: host, repository: 'a/b', tag: 'v1' }, signal));
  expect(asked[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ada:pass:word').toString('base64')}`);
  expect(asked[0]?.url).toContain('account=ada');
  expect(seen.every((request) => !request.headers.authorization?.startsWith('Basic'))).toBe(true);
});

test('an identity token is posted as a refresh token', async () => {
  const { host, asked } = await tokenRegistry();
  const client = clientAs({ kind: 'identity', token: 'refresh-me' });
  value(await client.getManifest({ registry: host, repository: 'a/b', tag: 'v1' }, signal));
  expect(asked[0]?.method).toBe('POST');
  expect(Object.fromEntries(new URLSearchParams(asked[0]?.body.toString()))).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'refresh-me',
    client_id: 'splitbuild',
    service: 'registry.example',
    scope: 'repository:a/b:pull',
  });
});

test('a mount asks for both repositories in one token', async () => {
  const { host, asked } = await tokenRegistry();
  const to = { registry: host, repository: 'a/b' };
  value(await clientAs(undefined).mountBlob(to, `sha256:${'0'.repeat(64)}`, 'c/d', signal));
  const scopes = new URL(asked[0]?.url ?? '', 'http://x').searchParams.getAll('scope');
  expect(scopes).toEqual(['repository:a/b:pull,push', 'repository:c/d:pull']);
});

test('a token that is refused is replaced once', async () => {
  let worn = false;
  const { host, asked } = await tokenRegistry({ refuse: (token) => worn && token === 'token-1' });
  const client = clientAs(undefined);
  const reference = { registry: host, repository: 'a/b', tag: 'v1' };
  value(await client.getManifest(reference, signal));
  worn = true;
  value(await client.getManifest(reference, signal));
  expect(asked).toHaveLength(2);
});

test('a registry that refuses every token is asked no more than twice', async () => {
  const { host, seen } = await tokenRegistry({ refuse: () => true });
  const read = await clientAs(undefined).getManifest({ registry: host, repository: 'a/b', tag: 'v1' }, signal);
  expect(read).toMatchObject({ ok: false, failure: { kind: 'registry', status: 401, transient: false } });
  expect(seen).toHaveLength(2);
});

test('a wrong password is told with what to do, and without the password', async () => {
  const { host } = await tokenRegistry({ status: 401 });
  const client = clientAs({ kind: 'basic', username: 'ada', password: 'hunter2' });
  const read = await client.getManifest({ registry: host, repository: 'a/b', tag: 'v1' }, signal);
  expect(read).toMatchObject({ ok: false, failure: { kind: 'registry', status: 401, where: `${host}/a/b:v1` } });
  const text = JSON.stringify(read);
  expect(text).toContain(`docker login ${host}`);
  expect(text).not.toContain('hunter2');
  expect(text).not.toContain(Buffer.from('ada:hunter2').toString('base64'));
});

test('a password is not sent without encryption by a registry’s word alone', () => {
  const subject = { registry: 'registry.example', where: 'registry.example/a' };
  expect(realmOf('http://tokens.example/token', subject, () => false)).toMatchObject({
    ok: false,
    failure: { kind: 'registry', transient: false },
  });
  expect(realmOf('https://tokens.example/token', subject, () => false)).toMatchObject({ ok: true });
});
