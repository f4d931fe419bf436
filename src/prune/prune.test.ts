// What is deleted of repositories made by hand, on registries that can delete tags and on those that can't.
import { expect, test } from 'vitest';
import { sha256 } from '../image/digest.ts';
import type { Known, Rules } from './candidates.ts';
import { nothingKnown } from './journals.ts';
import { type Pruned, pruneRepository } from './prune.ts';
import { day, MemoryRecord, MemoryRegistry, type Model, now, repository, rulesOf } from './testing.ts';

const signal = new AbortController().signal;
const modern: Model = { tagDeletion: true, referrersApi: true };
const dockers: Model = { tagDeletion: false, referrersApi: false };
const oldRun = '20261101-061500-00000a';
const newRun = '20261112-061500-00000b';

async function prune(
  registry: MemoryRegistry,
  rules: Partial<Rules> = {},
  known: Known = nothingKnown(),
  record = new MemoryRecord(),
): Promise<Pruned> {
  const request = { repository, rules: rulesOf(rules), known, unlikely: 'x', record, now: () => now };
  const pruned = await pruneRepository(registry, request, signal);
  if (!pruned.ok) throw new Error(JSON.stringify(pruned.failure));
  return pruned.value;
}
const left = (registry: MemoryRegistry): string[] => [...registry.tags.keys()].sort();

test('only old runs’ tags go by themselves, never the newest run’s, however old', async () => {
  const registry = new MemoryRegistry(modern);
  for (const [at, tag] of [`${oldRun}-amd64`, oldRun, `${newRun}-amd64`, 'develop', 'pr-1', 'latest'].entries()) {
    registry.image(`${at}`, 'amd64', tag);
  }
  await prune(registry);
  expect(left(registry)).toEqual([`${newRun}-amd64`, 'develop', 'latest', 'pr-1']);
  await prune(registry, { keepLast: 1 });
  expect(left(registry)).toEqual([`${newRun}-amd64`, 'develop', 'latest', 'pr-1']);
});

test('the children of an index that a kept tag points at stay, though a run’s tag points at them', async () => {
  const registry = new MemoryRegistry(modern);
  const amd = registry.image('app', 'amd64', `${oldRun}-amd64`);
  const attestation = registry.attestation(amd);
  registry.index([amd, attestation], 'develop');
  registry.image('new', 'amd64', `${newRun}-amd64`);
  await prune(registry);
  expect(left(registry)).toEqual([`${newRun}-amd64`, 'develop']);
  expect([amd, attestation].every(({ digest }) => registry.manifests.has(digest))).toBe(true);
  expect(registry.deletions).toEqual([`${oldRun}-amd64`]);
});

test('where only digests can be deleted, such a tag stays and is said why', async () => {
  const registry = new MemoryRegistry(dockers);
  const amd = registry.image('app', 'amd64', `${oldRun}-amd64`);
  registry.index([amd], 'develop');
  registry.image('new', 'amd64', `${newRun}-amd64`);
  const { decision } = await prune(registry);
  expect(decision.items).toMatchObject([
    {
      tag: `${oldRun}-amd64`,
      action: 'keep',
      because: 'the registry can’t delete a tag without its manifest, which develop needs',
    },
  ]);
  expect(registry.deletions).toEqual([]);
});

test('a tag goes with its record, its signatures and what refers to it, what refers first and children last', async () => {
  const registry = new MemoryRegistry(modern);
  const amd = registry.image('pr', 'amd64');
  const index = registry.index([amd], 'pr-1');
  const before = registry.image('before', 'amd64');
  registry.index([index, before], 'splitbuild-pr-1');
  const sbom = registry.referrer(index, 'sbom');
  const signature = registry.signature(amd.digest);
  registry.image('app', 'amd64', 'develop');
  await prune(registry, { tags: ['pr-*'] });
  expect(left(registry)).toEqual(['develop']);
  const at = (what: string): number => registry.deletions.indexOf(what);
  expect(registry.deletions.slice(0, 3)).toEqual([signature, 'splitbuild-pr-1', 'pr-1']);
  expect(at(sbom.digest)).toBeLessThan(at(index.digest));
  expect(at(index.digest)).toBeLessThan(at(amd.digest));
  expect(registry.manifests.has(before.digest)).toBe(false);
});

test('what a record keeps of a kept tag stays: the previous digest and its children', async () => {
  const registry = new MemoryRegistry(modern);
  const previous = registry.index([registry.image('before', 'amd64', `${oldRun}-amd64`)], 'pr-old');
  registry.index([previous], 'splitbuild-develop');
  registry.image('app', 'amd64', 'develop');
  registry.image('new', 'amd64', `${newRun}-amd64`);
  await prune(registry, { tags: ['pr-*'] });
  expect(left(registry)).toEqual([`${newRun}-amd64`, 'develop', 'splitbuild-develop']);
  expect(registry.isWhole(previous.digest)).toBe(true);
});

test('build keys go by a rule of their own', async () => {
  const registry = new MemoryRegistry(modern);
  registry.image('a', 'amd64', 'splitbuild-key-1');
  registry.image('b', 'amd64', 'splitbuild-key-2', now - 2 * day);
  await prune(registry, { tags: ['*'] });
  expect(left(registry)).toEqual(['splitbuild-key-1', 'splitbuild-key-2']);
  await prune(registry, { keysOlderThan: 10 * day });
  expect(left(registry)).toEqual(['splitbuild-key-2']);
});

test.each([modern, dockers])('keys of what a tag that stays has are kept, however old: %o', async (model) => {
  const registry = new MemoryRegistry(model);
  const amd = registry.image('app', 'amd64', 'develop-amd64');
  registry.tags.set('splitbuild-key-plain', amd.digest);
  const arm = registry.image('app', 'arm64');
  const attestation = registry.attestation(arm);
  registry.index([arm, attestation], 'splitbuild-key-attested');
  registry.tags.set('splitbuild-key-checked', registry.index([amd, arm, attestation], 'develop').digest);
  registry.image('before', 'amd64', 'splitbuild-key-before');
  registry.tags.set('splitbuild-key-gone', registry.image('gone', 'amd64', 'pr-1').digest);
  await prune(registry, { keysOlderThan: day, tags: ['pr-*'] });
  expect(left(registry)).toEqual([
    ...['develop', 'develop-amd64', 'splitbuild-key-attested', 'splitbuild-key-checked', 'splitbuild-key-plain'],
  ]);
  if (!model.tagDeletion) return;
  await prune(registry, { tags: ['splitbuild-key-plain'] });
  expect(left(registry)).not.toContain('splitbuild-key-plain');
});

test('tags of the config and arch tags of what is kept go only by their very name, and what is kept by --keep not at all', async () => {
  const registry = new MemoryRegistry(modern);
  const amd = registry.image('app', 'amd64', 'v1-amd64');
  registry.index([amd], 'v1');
  for (const tag of ['develop', 'keep-me', 'gone']) registry.image(tag, 'amd64', tag);
  const rules = { ofConfig: ['develop'], keep: ['keep-*', 'v1'] };
  const { decision } = await prune(registry, { ...rules, tags: ['*', 'keep-me'] });
  expect(left(registry)).toEqual(['develop', 'keep-me', 'v1', 'v1-amd64']);
  expect(decision.spared.get('develop')).toMatch(/^a tag of the config/);
  expect(decision.spared.get('v1-amd64')).toBe('belongs to v1');
  await prune(registry, { ...rules, tags: ['develop', 'v1-amd64'] });
  expect(left(registry)).toEqual(['keep-me', 'v1']);
  expect(registry.manifests.has(amd.digest)).toBe(true);
});

test('the newest of the tags that are named stay with --keep-last, and the young and those of unknown age', async () => {
  const registry = new MemoryRegistry(modern);
  for (const age of [3, 20, 30, 40]) registry.image(`${age}`, 'amd64', `pr-${age}`, now - age * day);
  const config = registry.blob('{"os":"linux","architecture":"amd64"}', 'application/vnd.oci.image.config.v1+json');
  registry.manifest({ config, layers: [] }, 'application/vnd.oci.image.manifest.v1+json', 'pr-unknown');
  await prune(registry, { tags: ['pr-*'], keepLast: 1 });
  expect(left(registry)).toEqual(['pr-20', 'pr-3', 'pr-unknown']);
});

test('a tag of the config that the registry’s list leaves out is a tag all the same', async () => {
  const registry = new MemoryRegistry(modern);
  const image = registry.image('app', 'amd64', 'develop');
  registry.tags.set('pr-1', image.digest);
  registry.listTags = async () => ({ ok: true, value: ['pr-1'] });
  await prune(registry, { tags: ['pr-1'], ofConfig: ['develop', 'v*'] });
  expect(registry.deletions).toEqual(['pr-1']);
  expect(registry.manifests.has(image.digest)).toBe(true);
});

test('signatures of what is gone go, but not from a repository that holds nothing else', async () => {
  const registry = new MemoryRegistry(modern);
  const elsewhere = registry.signature(sha256('elsewhere'));
  await prune(registry);
  expect(left(registry)).toEqual([elsewhere]);
  registry.image('app', 'amd64', 'develop');
  await prune(registry);
  expect(left(registry)).toEqual(['develop']);
});

test('manifests without a tag go when they are old both by their own word and by when they were pushed', async () => {
  const registry = new MemoryRegistry(modern);
  const [old, pushed, made] = ['old', 'pushed', 'made'].map((name) =>
    registry.image(name, 'amd64', undefined, name === 'made' ? now - day : now - 30 * day),
  );
  const known = nothingKnown();
  known.listed.set(old?.digest ?? '', now - 30 * day);
  known.listed.set(pushed?.digest ?? '', now - day);
  known.listed.set(made?.digest ?? '', now - 30 * day);
  await prune(registry, {}, known);
  expect(registry.deletions).toEqual([old?.digest]);
});

test('a registry that takes the manifest along with a tag gets it back, and nothing more is deleted', async () => {
  const registry = new MemoryRegistry({ ...modern, greedy: true });
  const amd = registry.image('app', 'amd64', `${oldRun}-amd64`);
  registry.tags.set('stable', amd.digest);
  registry.index([amd], 'develop');
  registry.image('other', 'amd64', oldRun);
  registry.image('new', 'amd64', `${newRun}-amd64`);
  const request = {
    repository,
    rules: rulesOf({ keep: [oldRun] }),
    known: nothingKnown(),
    unlikely: 'x',
    record: new MemoryRecord(),
    now: () => now,
  };
  expect(await pruneRepository(registry, request, signal)).toMatchObject({
    ok: false,
    failure: { kind: 'verification', message: expect.stringContaining('it was put back') },
  });
  expect(registry.tags.get('stable')).toBe(amd.digest);
  expect(registry.isWhole(registry.tags.get('develop') ?? '')).toBe(true);
});

test('what is deleted is written down before, with the manifest’s own bytes', async () => {
  const registry = new MemoryRegistry(modern);
  const image = registry.image('pr', 'amd64', 'pr-1');
  const bytes = registry.manifests.get(image.digest)?.bytes.toString();
  const record = new MemoryRecord();
  let written = 0;
  registry.onDeleted = (times) => {
    if (times === 1) written = record.lines.length;
  };
  await prune(registry, { tags: ['pr-1'] }, nothingKnown(), record);
  expect(written).toBe(2);
  expect(record.lines).toMatchObject([
    { type: 'planned', tag: 'pr-1', digest: image.digest },
    { type: 'planned', digest: image.digest, manifest: bytes },
    { type: 'deleted', tag: 'pr-1' },
    { type: 'deleted', digest: image.digest },
  ]);
});

test.each([
  [405, { tags: false, digests: false }],
  [404, { tags: true, digests: true }],
])('a registry that answers %i to the deletion of what isn’t there is read as %o', async (refuses, capability) => {
  const registry = new MemoryRegistry({ ...modern, refuses });
  registry.image('pr', 'amd64', 'pr-1');
  const request = {
    repository,
    rules: rulesOf({ tags: ['pr-1'] }),
    known: nothingKnown(),
    unlikely: 'x',
    now: () => now,
  };
  expect(await pruneRepository(registry, request, signal)).toMatchObject({ ok: true, value: { capability, done: [] } });
});

test('who may not delete is told so, once', async () => {
  const registry = new MemoryRegistry({ ...modern, refuses: 403 });
  registry.image('pr', 'amd64', 'pr-1');
  const request = {
    repository,
    rules: rulesOf({ tags: ['pr-1'] }),
    known: nothingKnown(),
    unlikely: 'x',
    now: () => now,
  };
  expect(await pruneRepository(registry, request, signal)).toMatchObject({
    ok: true,
    value: { capability: { doubt: { status: 403 } } },
  });
  const record = new MemoryRecord();
  expect(await pruneRepository(registry, { ...request, record }, signal)).toMatchObject({
    ok: false,
    failure: { status: 403 },
  });
  expect(record.lines).toEqual([]);
});
