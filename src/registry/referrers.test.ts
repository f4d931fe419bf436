// Lists of referrers, from registries with the API, without it, and with one that can't be believed.
import type { ServerResponse } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import { mediaTypes } from '../image/oci.ts';
import { createRegistryClient } from './client.ts';
import { anonymous } from './credentials.ts';
import { referrersTag } from './referrers.ts';
import { instantClock, type ScriptedServer, type Seen, scriptedServer } from './testing.ts';

const signal = new AbortController().signal;
const repository = 'team/app';
const subject = sha256('subject');
const entry = (name: string) => ({
  mediaType: mediaTypes.ociManifest,
  digest: sha256(name),
  size: 1,
  artifactType: name,
});
const index = (...names: string[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: names.map(entry) });

let server: ScriptedServer;
afterEach(() => server.close());

async function list(answer: (request: Seen, response: ServerResponse) => void) {
  server = await scriptedServer(answer);
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous, ...instantClock() });
  const listed = await client.listReferrers({ registry: server.host, repository }, subject, signal);
  return listed.ok ? listed.value.map(({ artifactType }) => artifactType) : listed.failure;
}

/** Answers the API with one thing and the fallback tag, of the spec's form, with another. */
const withTag =
  (api: [number, string], tag: [number, string]) =>
  ({ url }: Seen, response: ServerResponse): void => {
    const [status, body] = url === `/v2/${repository}/manifests/${subject.replace(':', '-')}` ? tag : api;
    response.writeHead(status, { 'content-type': mediaTypes.ociIndex }).end(body);
  };
const notFound: [number, string] = [404, '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'];

test('the API’s pages are followed, and the fallback tag is not asked', async () => {
  const found = await list(({ url }, response) => {
    const first = !url.includes('next');
    response
      .writeHead(200, first ? { link: `</v2/${repository}/referrers/${subject}?next=1>; rel="next"` } : {})
      .end(index(first ? 'sbom' : 'signature'));
  });
  expect(found).toEqual(['sbom', 'signature']);
  expect(server.seen.map(({ url }) => url)).toEqual([
    `/v2/${repository}/referrers/${subject}`,
    `/v2/${repository}/referrers/${subject}?next=1`,
  ]);
});

test.each([
  ['has no API', [404, '404 page not found']],
  ['says that it is unsupported', [405, '{"errors":[{"code":"UNSUPPORTED"}]}']],
  ['answers everything with a page', [200, '<html>']],
  ['answers an error with 200', [200, '{"errors":[]}']],
  ['always answers an empty list', [200, index()]],
  ['writes an empty list as null', [200, '{"schemaVersion":2,"manifests":null}']],
] satisfies [string, [number, string]][])('where a registry %s, the fallback tag tells', async (_, api) => {
  expect(await list(withTag(api, [200, index('signature')]))).toEqual(['signature']);
});

test('where there is neither, nothing refers', async () => {
  expect(await list(withTag(notFound, notFound))).toEqual([]);
});

test('a refusal is not taken for an empty list', async () => {
  expect(await list((_, response) => response.writeHead(403).end())).toMatchObject({ kind: 'registry', status: 403 });
});

test('half a list is a failure', async () => {
  const found = await list(({ url }, response) => {
    if (url.includes('next')) response.writeHead(404).end();
    else response.writeHead(200, { link: '<?next=1>; rel="next"' }).end(index('sbom'));
  });
  expect(found).toMatchObject({ kind: 'verification', message: expect.stringContaining('a later page') });
});

test('a long hash is cut off in the tag, as the spec has it', () => {
  expect(referrersTag(`sha512:${'ab'.repeat(64)}`)).toBe(`sha512-${'ab'.repeat(32)}`);
});
