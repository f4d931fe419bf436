// HTTPS with certificates of one's own, and the way out through a proxy.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { hasProgram, imageManifest, instantClock } from './testing.ts';

const signal = AbortSignal.timeout(30_000);
const manifest = imageManifest(Buffer.from('{}'), []);
const clientWith = (options: { ca?: (host: string) => string | undefined; plainHttp?: () => boolean }) =>
  createRegistryClient({ credentials: anonymous, ...instantClock(), ...options });

describe.runIf(hasProgram('openssl', 'version'))('a registry whose certificate nobody knows', () => {
  let host = '';
  let certificate = '';
  let server: ReturnType<typeof createServer>;
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tls-'));
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    spawnSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...names, ...files]);
    certificate = readFileSync(join(folder, 'cert.pem'), 'utf8');
    server = createServer({ key: readFileSync(join(folder, 'key.pem')), cert: certificate }, (_, response) =>
      response.end(manifest),
    );
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = server.address();
    host = `localhost:${typeof address === 'object' && address ? address.port : 0}`;
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  test('is refused, with the setting to write', async () => {
    const read = await clientWith({}).getManifest({ registry: host, repository: 'a', tag: 'v1' }, signal);
    expect(read).toMatchObject({
      ok: false,
      failure: { kind: 'registry', transient: false, help: `registries: { "${host}": { ca: ca.pem } }` },
    });
  });

  test('is trusted when its authority is given', async () => {
    const client = clientWith({ ca: (asked) => (asked === host ? certificate : undefined) });
    const read = await client.getManifest({ registry: host, repository: 'a', tag: 'v1' }, signal);
    expect(read).toMatchObject({ ok: true });
  });

  test('is not trusted under another name', async () => {
    const registry = host.replace('localhost', '127.0.0.1');
    const read = await clientWith({ ca: () => certificate }).getManifest(
      { registry, repository: 'a', tag: 'v1' },
      signal,
    );
    expect(read).toMatchObject({
      ok: false,
      failure: { transient: false, message: `the certificate of ${registry} is for another name` },
    });
  });
});

describe('a proxy of the environment', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  test('is asked for other hosts, and not for this machine', async () => {
    const asked: string[] = [];
    const proxy = createPlainServer();
    proxy.on('connect', (request, socket) => {
      asked.push(request.url ?? '');
      socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    });
    await new Promise<void>((done) => proxy.listen(0, '127.0.0.1', done));
    const address = proxy.address();
    vi.stubEnv('https_proxy', `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`);
    const away = await clientWith({}).getManifest({ registry: 'registry.invalid', repository: 'a', tag: 'v1' }, signal);
    expect(away.ok).toBe(false);
    expect(new Set(asked)).toEqual(new Set(['registry.invalid:443']));
    await clientWith({}).getManifest({ registry: 'localhost:1', repository: 'a', tag: 'v1' }, signal);
    expect(new Set(asked)).toEqual(new Set(['registry.invalid:443']));
    proxy.close();
    proxy.closeAllConnections();
  });

  test('without one, a name that nobody has is told so', async () => {
    for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, undefined);
    const read = await clientWith({}).getManifest({ registry: 'registry.invalid', repository: 'a', tag: 'v1' }, signal);
    expect(read).toMatchObject({
      ok: false,
      failure: { kind: 'registry', message: expect.stringContaining('registry.invalid') },
    });
  });
});
