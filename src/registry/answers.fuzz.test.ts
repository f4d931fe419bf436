// Whatever a registry answers, in whatever order, every call of the client ends in a result; none throws, and none hangs.
import type { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ok } from '../failure.ts';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { streamFailure } from '../image/store.ts';
import { createRegistryClient, type RegistryClient } from './client.ts';
import {
  blobOf,
  imageManifest,
  indexManifest,
  instantClock,
  noise,
  opener,
  type ScriptedServer,
  scriptedServer,
} from './testing.ts';

interface Scripted {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
  /** Closes the connection after the body. */
  breaks: boolean;
}

let script: Scripted[] = [];
let server: ScriptedServer;
beforeAll(async () => {
  server = await scriptedServer((_, response, nth) => {
    const answer = script[nth % script.length];
    if (!answer) return void response.end();
    response.strictContentLength = false;
    response.on('error', () => undefined);
    try {
      response.writeHead(answer.status, answer.headers);
      // Of a length that isn't kept to, the connection's end tells sooner than a time-out.
      const lies = answer.headers['content-length'] !== undefined;
      if (answer.breaks || lies) response.write(answer.body, () => response.destroy());
      else response.end(answer.body);
    } catch {
      // What Node doesn't send, no client gets.
      response.destroy();
    }
  });
});
afterAll(() => server.close());

const blob = noise(5000);
const manifest = imageManifest(Buffer.from('{}'), [blob]);
const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
});
const somewhere = fc.oneof(
  fc.constantFrom(
    '/x',
    '//',
    'http://[',
    'ftp://a/',
    '?',
    '#',
    'http://127.0.0.1:1/',
    '/v2/a/blobs/uploads/1?_state=x',
  ),
  fc.webPath(),
  printable,
);
const digests = fc.oneof(fc.constantFrom(sha256(manifest), sha256(blob), 'sha256:', 'sha512:00', 'md5:0'), printable);
const numbers = fc.oneof(
  fc.integer({ min: -5, max: 10_000 }).map(String),
  fc.constantFrom('1e99', 'NaN', '99999999999999999999', '0x10'),
  printable,
);
const headers = fc.record(
  {
    location: somewhere,
    link: fc.oneof(
      somewhere.map((to) => `<${to}>; rel="next"`),
      printable,
    ),
    'docker-content-digest': digests,
    'content-type': fc.oneof(fc.constantFrom(...Object.values(mediaTypes), 'text/html', ';', ''), printable),
    'www-authenticate': fc.oneof(
      somewhere.map((realm) => `Bearer realm="${realm}",service="s"`),
      fc.constantFrom('Basic', 'Bearer', 'Bearer realm', 'Bearer realm="http://[', ',,,=,"', 'Negotiate'),
      fc.nat(3).map(() => `Bearer realm="http://${server.host}/token"`),
      printable,
    ),
    'retry-after': numbers,
    'ratelimit-limit': fc.oneof(
      numbers,
      numbers.map((n) => `${n};w=${n}`),
    ),
    'ratelimit-remaining': numbers,
    'ratelimit-reset': numbers,
    range: fc.oneof(
      numbers.map((n) => `0-${n}`),
      printable,
    ),
    'content-range': fc.oneof(
      numbers.map((n) => `bytes ${n}-${n}/${n}`),
      printable,
    ),
    'content-encoding': fc.constantFrom('gzip', 'identity', 'br'),
    'oci-subject': digests,
    'content-length': fc.nat(400).map(String),
  },
  { requiredKeys: [] },
);
const bodies = fc.oneof(
  fc.constantFrom(manifest, indexManifest([manifest]), blob, Buffer.alloc(0)),
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map((text) => Buffer.from(text)),
  fc
    .record(
      {
        errors: fc.anything(),
        token: fc.oneof(fc.string(), fc.anything()),
        access_token: fc.string(),
        expires_in: fc.oneof(fc.double(), fc.anything()),
        tags: fc.oneof(fc.array(fc.string()), fc.anything()),
        manifests: fc.anything(),
        layers: fc.anything(),
        config: fc.anything(),
        mediaType: fc.oneof(fc.constantFrom(...Object.values(mediaTypes)), fc.anything()),
        schemaVersion: fc.constantFrom(1, 2, '2'),
      },
      { requiredKeys: [] },
    )
    .map((value) => {
      try {
        return Buffer.from(JSON.stringify(value) ?? '');
      } catch {
        return Buffer.from('{');
      }
    }),
);
const answers: fc.Arbitrary<Scripted> = fc.record({
  status: fc.oneof(
    fc.constantFrom(200, 201, 202, 204, 206, 301, 302, 307, 400, 401, 403, 404, 405, 416, 429, 500, 502, 503),
    fc.integer({ min: 200, max: 999 }),
  ),
  headers,
  body: bodies,
  breaks: fc.nat(9).map((n) => n === 0),
});

async function drain(stream: Readable): Promise<void> {
  try {
    for await (const _ of stream);
  } catch (error) {
    if (streamFailure(error) === undefined) throw error;
  }
}

const calls: ((client: RegistryClient, registry: string, signal: AbortSignal) => Promise<{ ok: boolean }>)[] = [
  (client, registry, signal) => client.getManifest({ registry, repository: 'a', tag: 'v1' }, signal),
  (client, registry, signal) => client.getManifest({ registry, repository: 'a', digest: sha256(manifest) }, signal),
  (client, registry, signal) => client.headManifest({ registry, repository: 'a', tag: 'v1' }, signal),
  (client, registry, signal) =>
    client.putManifest({ registry, repository: 'a', tag: 'v1' }, manifest, mediaTypes.ociManifest, signal),
  (client, registry, signal) => client.deleteManifest({ registry, repository: 'a', tag: 'v1' }, signal),
  (client, registry, signal) => client.hasBlob({ registry, repository: 'a' }, sha256(blob), signal),
  (client, registry, signal) => client.readBlob({ registry, repository: 'a' }, sha256(blob), signal),
  async (client, registry, signal) => {
    const stream = await client.getBlob({ registry, repository: 'a' }, blobOf(blob), signal);
    if (stream.ok) await drain(stream.value);
    return stream;
  },
  (client, registry, signal) => client.putBlob({ registry, repository: 'a' }, blobOf(blob), opener(blob), signal),
  (client, registry, signal) => client.mountBlob({ registry, repository: 'a' }, sha256(blob), 'b', signal),
  (client, registry, signal) => client.listTags({ registry, repository: 'a' }, signal),
  (client, registry, signal) => client.listReferrers({ registry, repository: 'a' }, sha256(blob), signal),
];

test('every call ends in a result, whatever the registry answers', async () => {
  const credentials = fc.constantFrom(
    undefined,
    { kind: 'basic', username: 'ada', password: 'hunter2' } as const,
    { kind: 'identity', token: 'refresh-me' } as const,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(answers, { minLength: 1, maxLength: 6 }), credentials, async (answered, credential) => {
      script = answered;
      const client = createRegistryClient({
        plainHttp: () => true,
        credentials: { get: async () => ok(credential) },
        patience: { head: 300, body: 300, silence: 300, trickle: 300 },
        ...instantClock(),
      });
      const signal = AbortSignal.timeout(8000);
      const results = await Promise.all(calls.map((call) => call(client, server.host, signal)));
      for (const result of results) expect(typeof result.ok).toBe('boolean');
      const said = JSON.stringify(results);
      expect(said).not.toContain('hunter2');
      expect(said).not.toContain('refresh-me');
    }),
    { numRuns: 100, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: true },
  );
}, 90_000);
