// certs.d, as files on disk and against real TLS servers that want a client's certificate.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ok } from '../failure.ts';
import { mediaTypes } from '../image/oci.ts';
import { noCertificates, storedCertificates } from './certs.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { hasProgram, imageManifest, instantClock, value } from './testing.ts';
import { type Authority, createAuthority, type Pair, type TlsServer, tlsServer } from './testing-tls.ts';

const signal = AbortSignal.timeout(60_000);

describe.runIf(hasProgram('openssl', 'version'))('certificates of a registry', () => {
  const manifest = imageManifest(Buffer.from('{}'), []);
  let authority: Authority;
  let known: Pair;
  let stranger: Pair;
  let server: TlsServer;
  let registry = '';

  beforeAll(async () => {
    authority = createAuthority('the registry’s own');
    known = authority.issue('a client that it knows');
    stranger = createAuthority('another').issue('a client of somebody else’s');
    server = await tlsServer(
      { ...authority.issue('localhost'), ca: authority.ca, requestCert: true, rejectUnauthorized: true },
      (_, response) => response.writeHead(200, { 'content-type': mediaTypes.ociManifest }).end(manifest),
    );
    registry = `localhost:${server.port}`;
  });
  afterAll(() => server.close());

  /** A home and an /etc with these files below their certs.d folders. */
  function store(files: Record<string, string>) {
    const home = mkdtempSync(join(tmpdir(), 'home-'));
    const etc = mkdtempSync(join(tmpdir(), 'etc-'));
    const roots: Record<string, string> = {
      home: join(home, '.config/containers/certs.d'),
      containers: join(etc, 'containers/certs.d'),
      docker: join(etc, 'docker/certs.d'),
    };
    for (const [name, content] of Object.entries(files)) {
      const [root = '', file = ''] = name.split(':');
      const folder = join(roots[root] ?? '', registry);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, file), content);
    }
    return storedCertificates({ HOME: home }, etc);
  }

  const read = (files: Record<string, string>, ca?: string) =>
    createRegistryClient({
      credentials: anonymous,
      certificates: store(files),
      ...instantClock(),
      ...(ca === undefined ? {} : { ca: () => ca }),
    }).getManifest({ registry, repository: 'a', tag: 'v1' }, signal);

  test.each(['docker', 'containers', 'home'])(
    'are taken from the %s folder: the authority, and who we are',
    async (root) => {
      const files = {
        [`${root}:ca.crt`]: authority.ca,
        [`${root}:client.cert`]: known.cert,
        [`${root}:client.key`]: known.key,
      };
      expect(manifest.equals(value(await read(files)).bytes)).toBe(true);
    },
  );

  test('work beside an authority that the config names', async () => {
    expect(
      await read({ 'docker:client.cert': known.cert, 'docker:client.key': known.key }, authority.ca),
    ).toMatchObject({
      ok: true,
    });
  });

  test('that are missing, or of a stranger, are told with the place to put them', async () => {
    // Node's own server hangs up without a word; OpenSSL's sends an alert, as those of Go do.
    const folder = mkdtempSync(join(tmpdir(), 'server-'));
    const { cert, key } = authority.issue('localhost');
    for (const [name, pem] of Object.entries({ cert, key, ca: authority.ca })) writeFileSync(join(folder, name), pem);
    const demands = ['-Verify', '1', '-verify_return_error', '-CAfile', 'ca', '-www'];
    const strict = spawn('openssl', ['s_server', '-accept', '0', '-cert', 'cert', '-key', 'key', ...demands], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const port = await new Promise<string>((done) => {
      strict.stdout.on('data', (said) => {
        const found = /^ACCEPT .*:(\d+)$/m.exec(String(said))?.[1];
        if (found !== undefined) done(found);
      });
    });
    const ended = new Promise((done) => strict.once('exit', done));
    const host = `localhost:${port}`;
    for (const client of [undefined, stranger]) {
      const certificates = { get: async () => ok({ ca: [authority.ca], ...(client ? { client } : {}) }) };
      const asking = createRegistryClient({ credentials: anonymous, certificates, ...instantClock() });
      expect(await asking.getManifest({ registry: host, repository: 'a', tag: 'v1' }, signal)).toMatchObject({
        ok: false,
        failure: {
          kind: 'registry',
          help: `if it wants a certificate of its clients: put client.cert and client.key into /etc/docker/certs.d/${host}`,
        },
      });
    }
    strict.kill();
    await ended;
  });

  test('of the first folder that exists are the ones (containers-certs.d)', async () => {
    const files = {
      'home:ca.crt': createAuthority('a wrong one').ca,
      'docker:ca.crt': authority.ca,
      'docker:client.cert': known.cert,
      'docker:client.key': known.key,
    };
    expect(await read(files)).toMatchObject({ ok: false, failure: { kind: 'registry', transient: false } });
  });

  test('are for that registry alone', async () => {
    const certificates = store({ 'docker:ca.crt': authority.ca });
    expect(value(await certificates.get(registry)).ca).toEqual([authority.ca]);
    for (const other of [`localhost:${server.port + 1}`, 'localhost', '..', '../docker', 'docker.io']) {
      expect(await certificates.get(other)).toEqual({ ok: true, value: { ca: [] } });
    }
  });

  test.each([
    { name: 'client.cert', file: () => known.cert, message: 'the certificate has no key: client.key is missing' },
    { name: 'client.key', file: () => known.key, message: 'the certificate of this key is missing: client.cert' },
    { name: 'ca.crt', file: () => 'no PEM', message: 'the certificate is no certificate in PEM' },
  ])('that can’t be used are told, not passed over: $name', async ({ name, file, message }) => {
    expect(await read({ [`docker:${name}`]: file() })).toMatchObject({
      ok: false,
      failure: { kind: 'system', where: expect.stringContaining(join(registry, name)) },
    });
    expect(await store({ [`docker:${name}`]: file() }).get(registry)).toMatchObject({ failure: { message } });
  });

  test('whose key is another’s are told', async () => {
    expect(await read({ 'docker:client.cert': known.cert, 'docker:client.key': stranger.key })).toMatchObject({
      ok: false,
      failure: { kind: 'system', message: expect.stringContaining('no pair') },
    });
  });

  test('a registry without any is trusted as far as the public authorities vouch for it', async () => {
    const client = createRegistryClient({ credentials: anonymous, certificates: noCertificates, ...instantClock() });
    expect(await client.getManifest({ registry, repository: 'a', tag: 'v1' }, signal)).toMatchObject({
      ok: false,
      failure: { message: expect.stringContaining('signed by nobody this machine trusts') },
    });
  });
});
