// Whom a login is given to: the registry, and the realm that the registry itself names over TLS; nobody whom they send on to.
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ok, type Result } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import type { ReadManifest } from './client.ts';
import { createRegistryClient, type RegistryClient } from './client.ts';
import type { Credential } from './credentials.ts';
import { blobOf, hasProgram, imageManifest, instantClock, noise, opener, scriptedServer, value } from './testing.ts';
import { type Authority, createAuthority, type Pair, tlsServer } from './testing-tls.ts';

const signal = AbortSignal.timeout(60_000);
const manifest = imageManifest(Buffer.from('{}'), []);
const password = 'hunter2';
const login: Credential = { kind: 'basic', username: 'ada', password };
const basic = `Basic ${Buffer.from(`ada:${password}`).toString('base64')}`;
const mine = { 'content-type': mediaTypes.ociManifest };
let ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
});

async function plain(...[answer]: Parameters<typeof scriptedServer>) {
  const server = await scriptedServer(answer);
  ends.push(server.close);
  return server;
}

/** That nothing of the login is in what a server was sent. */
function withoutLogin(seen: unknown): void {
  const text = JSON.stringify(seen);
  for (const secret of [password, basic, basic.slice('Basic '.length), 'Bearer ', 'refresh-me']) {
    expect(text).not.toContain(secret);
  }
}

describe.runIf(hasProgram('openssl', 'version'))('a login', () => {
  let authority: Authority;
  let pair: Pair;
  beforeAll(() => {
    authority = createAuthority('of the registry and its friends');
    pair = authority.issue('localhost');
  });

  async function secure(...[answer]: [Parameters<typeof tlsServer>[1]]) {
    const server = await tlsServer(pair, answer);
    ends.push(server.close);
    return { ...server, host: `localhost:${server.port}` };
  }

  /** A client of TLS, with plain HTTP where it is said. */
  function client(
    credential: Credential | undefined = login,
    plainHttp: (host: string) => boolean = () => false,
  ): RegistryClient {
    const credentials = { get: async () => ok(credential) };
    return createRegistryClient({ plainHttp, ca: () => authority.ca, credentials, ...instantClock() });
  }
  const read = (host: string, by = client()): Promise<Result<ReadManifest>> =>
    by.getManifest({ registry: host, repository: 'a', tag: 'v1' }, signal);

  test('goes to a realm on another host, over TLS, by the authority that is trusted for the registry', async () => {
    const tokens = await secure((_, response) => response.end('{"token":"t1"}'));
    const registry = await secure((request, response) => {
      if (request.headers.authorization === 'Bearer t1') response.writeHead(200, mine).end(manifest);
      else response.writeHead(401, { 'www-authenticate': `Bearer realm="https://${tokens.host}/token"` }).end();
    });
    const trusting = createRegistryClient({
      ca: (host) => (host === registry.host ? authority.ca : undefined),
      credentials: { get: async () => ok(login) },
      ...instantClock(),
    });
    value(await read(registry.host, trusting));
    expect(tokens.authorizations).toEqual([{ path: expect.stringContaining('/token?'), authorization: basic }]);
    expect(registry.authorizations.map((one) => one.authorization)).toEqual([undefined, 'Bearer t1']);
  });

  test.each([
    { kind: 'a password', credential: login },
    { kind: 'an identity token', credential: { kind: 'identity', token: 'refresh-me' } satisfies Credential },
  ])('never goes to a realm without TLS, which is told: $kind', async ({ credential }) => {
    const tokens = await plain((_, response) => response.end('{"token":"t1"}'));
    const realm = `http://${tokens.host}/token`;
    const registry = await secure((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end(),
    );
    expect(await read(registry.host, client(credential))).toEqual({
      ok: false,
      failure: {
        kind: 'registry',
        transient: false,
        message: `${registry.host} wants its password sent to ${tokens.host} without encryption`,
        where: `${registry.host}/a:v1`,
        help: expect.stringContaining('plainHttp: true'),
      },
    });
    expect(tokens.seen).toEqual([]);
  });

  test('doesn’t go to another host without TLS because the registry has none', async () => {
    const tokens = await plain((_, response) => response.end('{"token":"t1"}'));
    const realm = `http://${tokens.host.replace('127.0.0.1', '127.0.0.2')}/token`;
    const registry = await plain((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end(),
    );
    const result = await read(
      registry.host,
      client(login, (host) => host === registry.host),
    );
    expect(result).toMatchObject({ failure: { message: expect.stringContaining('without encryption') } });
    expect(tokens.seen).toEqual([]);
  });

  test('stays with the registry where a redirect leads away', async () => {
    const storage = await secure((_, response) => response.writeHead(200, mine).end(manifest));
    const registry = await secure((request, response) => {
      if (request.headers.authorization !== basic) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      else response.writeHead(307, { location: `https://${storage.host}/elsewhere` }).end();
    });
    value(await read(registry.host));
    expect(registry.authorizations.at(-1)?.authorization).toBe(basic);
    withoutLogin(storage.authorizations);
    expect(storage.authorizations).toHaveLength(1);
  });

  test('stays where it is when the host that a redirect leads to asks for one', async () => {
    const thief = await secure((request, response) => {
      if (request.url?.startsWith('/token')) response.end('{"token":"t1"}');
      else
        response
          .writeHead(401, { 'www-authenticate': `Basic, Bearer realm="https://localhost:${thief.port}/token"` })
          .end();
    });
    const registry = await secure((_, response) =>
      response.writeHead(302, { location: `https://${thief.host}/x` }).end(),
    );
    expect(await read(registry.host)).toMatchObject({ ok: false, failure: { status: 401 } });
    withoutLogin(thief.authorizations);
    expect(thief.authorizations.map((one) => one.path)).toEqual(['/x']);
  });

  test('stays with the token server where that sends away', async () => {
    const thief = await secure((_, response) => response.end('{"token":"t1"}'));
    const tokens = await secure((_, response) =>
      response.writeHead(302, { location: `https://${thief.host}/token` }).end(),
    );
    const registry = await secure((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="https://${tokens.host}/token"` }).end(),
    );
    await read(registry.host);
    expect(tokens.authorizations[0]?.authorization).toBe(basic);
    withoutLogin(thief.authorizations);
    // A refresh token is in the body: a redirect isn't followed with it.
    await read(registry.host, client({ kind: 'identity', token: 'refresh-me' }));
    withoutLogin(thief.authorizations);
    expect(thief.authorizations.length).toBeLessThanOrEqual(2);
  });

  test('stays with the registry where an upload goes on elsewhere, also when it is asked for there', async () => {
    const storage = await secure((_, response) =>
      response.writeHead(401, { 'www-authenticate': 'Basic realm="me too"' }).end(),
    );
    const registry = await secure((request, response) => {
      if (request.headers.authorization !== basic) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      else response.writeHead(202, { location: `https://${storage.host}/upload` }).end();
    });
    const blob = noise(1000);
    const pushed = await client().putBlob(
      { registry: registry.host, repository: 'a' },
      blobOf(blob),
      opener(blob),
      signal,
    );
    expect(pushed).toMatchObject({ ok: false, failure: { status: 401 } });
    expect(storage.authorizations.length).toBeGreaterThan(0);
    withoutLogin(storage.authorizations);
  });

  test('and nothing else goes on without TLS where the registry sends there: redirect and upload', async () => {
    const listener = await plain((_, response) => response.writeHead(200, mine).end(manifest));
    const registry = await secure((request, response) => {
      const location = `http://${listener.host}/plain`;
      response.writeHead(request.method === 'POST' ? 202 : 302, { location }).end();
    });
    const refusal = {
      ok: false,
      failure: {
        kind: 'registry',
        transient: false,
        message: `${registry.host} sends to ${listener.host} without encryption`,
      },
    };
    expect(await read(registry.host)).toMatchObject(refusal);
    const blob = noise(1000);
    const at = { registry: registry.host, repository: 'a' };
    expect(await client().putBlob(at, blobOf(blob), opener(blob), signal)).toMatchObject(refusal);
    expect(listener.seen).toEqual([]);
  });

  test('goes by TLS to a registry that gives out http addresses of itself', async () => {
    const registry = await secure((request, response) => {
      if (request.headers.authorization !== basic) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      else if (request.url === '/moved') response.writeHead(200, mine).end(manifest);
      else response.writeHead(302, { location: `http://localhost:${registry.port}/moved` }).end();
    });
    value(await read(registry.host));
    expect(registry.authorizations.at(-1)).toEqual({ path: '/moved', authorization: basic });
  });

  test('isn’t taken from TLS to plain HTTP because the registry has none and its realm is called the same', async () => {
    const registry = await plain((_, response) => {
      const realm = `https://${registry.host}/token`;
      response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end();
    });
    const result = await read(
      registry.host,
      client(login, () => true),
    );
    expect(result.ok).toBe(false);
    withoutLogin(registry.seen);
    expect(registry.seen.map((one) => one.url)).toEqual(['/v2/a/manifests/v1']);
  });

  test('in the address of a redirect is neither sent nor shown', async () => {
    const registry = await secure((request, response) => {
      if (request.url === '/moved') response.writeHead(404).end();
      else response.writeHead(302, { location: `https://eve:secret9@localhost:${registry.port}/moved` }).end();
    });
    const result = await read(registry.host, client(undefined));
    expect(JSON.stringify(result)).not.toContain('secret9');
    withoutLogin(registry.authorizations);
  });

  test('is not in what is said when the content of a blob is another one', async () => {
    const registry = await secure((request, response) => {
      if (request.headers.authorization !== basic) response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      else response.writeHead(500).end(`{"errors":[{"code":"UNKNOWN","message":"no"}]}`);
    });
    const result = await client().readBlob({ registry: registry.host, repository: 'a' }, sha256('x'), signal);
    expect(result.ok).toBe(false);
    withoutLogin(result);
  });
});
