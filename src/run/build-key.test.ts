// A key changes when something changes that the result depends on, and at nothing else.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { BuildTask } from '../plan/plan.ts';
import type { BuildInputs } from './build-inputs.ts';
import { keyTag } from './build-key.ts';
import { prepareBuild } from './build-task.ts';

const hex = (digit: string): string => `sha256:${digit.repeat(64)}`;
const dockerfile = 'FROM o/base:develop AS built\nFROM debian:12\nCOPY --from=built / /\n';
const task: BuildTask = {
  ...{ kind: 'build', id: 'build app linux/arm64', image: 'app', mode: 'native', repository: 'o/app' },
  platform: { os: 'linux', architecture: 'arm64' },
  ...{ context: '/app', dockerfile: '/app/Dockerfile', target: 'built', args: { A: '1', B: '2' }, secrets: ['T', 'S'] },
  upstreams: [{ task: 'build base linux/arm64', reference: 'docker.io/o/base:develop', range: { start: 5, end: 19 } }],
  externals: [{ reference: 'docker.io/library/debian:12', range: { start: 34, end: 43 } }],
  needs: [],
};
const inputs: BuildInputs = {
  dockerfile,
  ignore: undefined,
  context: hex('c'),
  externals: new Map([['docker.io/library/debian:12', { digest: hex('d') }]]),
};

function keyOf(other: Partial<BuildTask> = {}, read: Partial<BuildInputs> = {}, upstream = hex('b')): string {
  return prepareBuild({ ...task, ...other }, { ...inputs, ...read }, () => ({ repository: 'o/base', digest: upstream }))
    .key;
}

test.each<[string, Parameters<typeof keyOf>]>([
  ['the context', [{}, { context: hex('e') }]],
  ['a line of the Dockerfile', [{}, { dockerfile: `${dockerfile}ENV X=1\n` }]],
  ['what a parent is', [{}, {}, hex('e')]],
  [
    'what somebody else’s image is',
    [{}, { externals: new Map([['docker.io/library/debian:12', { digest: hex('e') }]]) }],
  ],
  [
    'that somebody else’s image is not known',
    [{}, { externals: new Map([['docker.io/library/debian:12', { why: '' }]]) }],
  ],
  ['an argument', [{ args: { A: '1', B: '3' } }]],
  ['an argument less', [{ args: { A: '1' } }]],
  ['what is which argument', [{ args: { A: '2', B: '1' } }]],
  ['the target', [{ target: 'other' }]],
  ['no target', [{ target: '' }]],
  ['the platform', [{ platform: { os: 'linux', architecture: 'amd64' } }]],
  ['a variant of the platform', [{ platform: { os: 'linux', architecture: 'arm64', variant: 'v9' } }]],
  ['a secret’s name', [{ secrets: ['T', 'U'] }]],
  ['what it needs, though its Dockerfile says nothing of it', [{ needs: ['build more linux/arm64'] }]],
])('%s makes it another', (_, changed) => {
  expect(keyOf(...changed)).not.toBe(keyOf());
});

test.each<[string, Parameters<typeof keyOf>]>([
  ['the order of arguments', [{ args: { B: '2', A: '1' } }]],
  ['the order of secrets', [{ secrets: ['S', 'T'] }]],
  ['what an image is called', [{ image: 'other', id: 'build other linux/arm64', repository: 'o/other' }]],
  ['how it is placed', [{ mode: 'emulated' }]],
  ['where its folder is', [{ context: '/elsewhere', dockerfile: '/elsewhere/Dockerfile' }]],
  ['that it waits for what its Dockerfile names', [{ needs: ['build base linux/arm64'] }]],
  ['that it waits for that to be published', [{ needs: ['publish base'] }]],
  ['the commit that its files are from', [{ commit: '0'.repeat(40) }]],
])('%s changes nothing', (_, changed) => {
  expect(keyOf(...changed)).toBe(keyOf());
});

test('that no digest could be found out makes the same key, whatever the reason was', () => {
  const unknown = (why: string): string =>
    keyOf({}, { externals: new Map([['docker.io/library/debian:12', { why }]]) });
  expect(unknown('no answer')).toBe(unknown('it is not there'));
});

test('no two builds that differ in arguments have the same key', () => {
  const args = fc.dictionary(fc.constantFrom('A', 'B', 'C', 'A,B'), fc.constantFrom('', '1', 'A', '","'));
  fc.assert(
    fc.property(args, args, (one, two) => {
      const same = JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(two).sort());
      expect(keyOf({ args: one }) === keyOf({ args: two })).toBe(same);
    }),
  );
});

test('a Dockerfile names parents and other people’s images by digest, and its key no address', () => {
  const prepared = prepareBuild(task, inputs, () => ({ repository: 'o/base', digest: hex('b') }));
  expect(prepared.dockerfileFor('127.0.0.1:5000')).toBe(
    `FROM 127.0.0.1:5000/o/base@${hex('b')} AS built\nFROM docker.io/library/debian@${hex('d')}\nCOPY --from=built / /\n`,
  );
  expect(prepared.unpinned).toEqual([]);
});

test('where a digest could not be found out, the reference stays as it is written, and that is told', () => {
  const externals = new Map([['docker.io/library/debian:12', { why: 'no answer' }]]);
  const prepared = prepareBuild(task, { ...inputs, externals }, () => ({ repository: 'o/base', digest: hex('b') }));
  expect(prepared.dockerfileFor('r')).toContain('\nFROM debian:12\n');
  expect(prepared.unpinned).toEqual([{ reference: 'docker.io/library/debian:12', why: 'no answer' }]);
});

// distribution-spec, "Pulling manifests": [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}
test('a key is a tag', () => {
  expect(keyTag(hex('a'))).toBe(`splitbuild-key-${'a'.repeat(40)}`);
  expect(keyTag(keyOf())).toMatch(/^splitbuild-key-[0-9a-f]{40}$/);
});
