// Other people's images are asked for once a run, together, and one that can't be asked holds nothing up for long.
import { expect, test } from 'vitest';
import { type Failure, fail, ok } from '../failure.ts';
import type { BuildTask } from '../plan/plan.ts';
import type { RegistryClient } from '../registry/client.ts';
import { createVirtualClock } from '../virtual-clock.ts';
import { pinnedName, resolveExternals } from './keys-externals.ts';

const digest = `sha256:${'d'.repeat(64)}`;
const never = new AbortController().signal;

function on(...references: string[]): BuildTask {
  return {
    ...{ kind: 'build', id: 'b', image: 'b', platform: { os: 'linux', architecture: 'amd64' }, mode: 'native' },
    ...{ repository: 'b', context: '/', dockerfile: '/', args: {}, secrets: [], upstreams: [], needs: [] },
    externals: references.map((reference) => ({ reference, range: { start: 0, end: 1 } })),
  };
}

async function resolve(tasks: BuildTask[], headManifest: RegistryClient['headManifest']) {
  const clock = createVirtualClock(0, () => 0.5);
  const found = await clock.run(resolveExternals(tasks, { headManifest }, clock, never));
  return { found: Object.fromEntries(found), ms: clock.now() };
}

test('each is asked for once, however many builds and platforms are built on it, and all at the same time', async () => {
  const asked: string[] = [];
  let open = 0;
  let most = 0;
  const { found } = await resolve(
    [on('docker.io/library/debian:12', 'quay.io/a/b:1'), on('docker.io/library/debian:12')],
    async (at) => {
      asked.push(`${at.registry}/${at.repository}:${at.tag}`);
      open += 1;
      most = Math.max(most, open);
      await Promise.resolve();
      open -= 1;
      return ok({ mediaType: 'application/vnd.oci.image.index.v1+json', digest, size: 1 });
    },
  );
  expect(asked.sort()).toEqual(['docker.io/library/debian:12', 'quay.io/a/b:1']);
  expect(most).toBe(2);
  expect(found['docker.io/library/debian:12']).toEqual({ digest });
});

test('one that has a digest already is not asked for', async () => {
  const { found } = await resolve([on(`docker.io/library/debian@${digest}`)], () => Promise.reject(new Error('asked')));
  expect(found).toEqual({});
});

test('one that is in no registry, as one that only an engine has, says why', async () => {
  const refused: Failure = { kind: 'registry', transient: false, status: 401, message: 'login needed' };
  const { found } = await resolve(
    [on('docker.io/library/mine:local', 'docker.io/team/mine:local')],
    async ({ repository }) => (repository.startsWith('library') ? ok(undefined) : fail(refused)),
  );
  expect(found).toEqual({
    'docker.io/library/mine:local': { why: 'it is not in its registry' },
    'docker.io/team/mine:local': { why: 'login needed' },
  });
});

test('a registry that says nothing is given up after twenty seconds', async () => {
  const { found, ms } = await resolve([on('quay.io/a/b:1')], () => new Promise(() => undefined));
  expect(found['quay.io/a/b:1']).toMatchObject({ why: expect.stringContaining('20 s') });
  expect(ms).toBe(20_000);
});

test('a pinned name has no tag', () => {
  expect(pinnedName('docker.io/library/debian:12', digest)).toBe(`docker.io/library/debian@${digest}`);
  expect(pinnedName('r.example:5000/a/b', digest)).toBe(`r.example:5000/a/b@${digest}`);
});
