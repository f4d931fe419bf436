// Whatever hangs together in a repository, what a kept tag needs is there after a clean-up: on both kinds of registry, and also
// when tags move while it runs.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Descriptor, Digest } from '../image/oci.ts';
import { inspectImage, verifyIndex } from '../image/verify.ts';
import type { Known } from './candidates.ts';
import { nothingKnown } from './journals.ts';
import { type Pruned, pruneRepository } from './prune.ts';
import { day, MemoryRecord, MemoryRegistry, type Model, now, repository, rulesOf } from './testing.ts';

const signal = new AbortController().signal;
const run = (daysAgo: number): string =>
  `${new Date(now - daysAgo * day).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15)}-0000a${daysAgo % 10}`;
const old = [run(20), run(9)];
const newest = run(8);

/** Tags that a clean-up with `--tags 'pr-*'` may delete; all others of the list are to stay. */
const mayGo = [...old.flatMap((id) => [id, `${id}-amd64`]), 'pr-1', 'pr-1-amd64', 'pr-2'];
const stays = ['develop', 'develop-amd64', 'v1', newest, `${newest}-arm64`, 'splitbuild-key-0a', 'splitbuild-gone'];
const records = ['splitbuild-develop', 'splitbuild-pr-1'];
const architectures = ['amd64', 'arm64', '386'];

/** Steps that make a repository; each picks what it builds on from what is there, by number. */
type Step =
  | { make: 'image'; name: number; arch: number; young: boolean }
  | { make: 'index'; of: number[]; attested: boolean }
  | { make: 'referrer' | 'signature'; of: number }
  | { make: 'tag'; tag: number; of: number }
  | { make: 'listed'; of: number };

const pick = fc.nat({ max: 50 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ make: fc.constant('image'), name: fc.nat({ max: 5 }), arch: fc.nat({ max: 2 }), young: fc.boolean() }),
  fc.record({
    make: fc.constant('index'),
    of: fc.array(pick, { minLength: 1, maxLength: 3 }),
    attested: fc.boolean(),
  }),
  fc.record({ make: fc.constantFrom('referrer', 'signature'), of: pick }),
  fc.record({ make: fc.constant('tag'), tag: pick, of: pick }),
  fc.record({ make: fc.constant('listed'), of: pick }),
);
const allTags = [...mayGo, ...stays, ...records];

function build(steps: Step[], model: Model): { registry: MemoryRegistry; known: Known } {
  const registry = new MemoryRegistry(model);
  const known = nothingKnown();
  const made: Descriptor[] = [registry.image('first', 'amd64', newest)];
  const at = (number: number): Descriptor => made[number % made.length] ?? registry.image('first', 'amd64');
  for (const one of steps) {
    switch (one.make) {
      case 'image':
        made.push(
          registry.image(`${one.name}`, architectures[one.arch] ?? '', undefined, now - (one.young ? 1 : 30) * day),
        );
        break;
      case 'index': {
        const children = [...new Map(one.of.map((number) => [at(number).digest, at(number)])).values()];
        const attestations = one.attested ? children.map((child) => registry.attestation(child)) : [];
        made.push(registry.index([...children, ...attestations]));
        break;
      }
      case 'referrer':
        made.push(registry.referrer(at(one.of), 'sbom'));
        break;
      case 'signature': {
        const signed = registry.manifests.get(registry.tags.get(registry.signature(at(one.of).digest)) ?? '');
        if (signed) made.push(registry.manifest(JSON.parse(signed.bytes.toString()), signed.mediaType));
        break;
      }
      case 'tag':
        registry.tags.set(allTags[one.tag % allTags.length] ?? '', at(one.of).digest);
        break;
      case 'listed':
        known.listed.set(at(one.of).digest, now - 30 * day);
        break;
    }
  }
  return { registry, known };
}

/** All that a manifest needs or that belongs to it, found by another way than the code's: by asking again until nothing is new. */
async function belongings(registry: MemoryRegistry, tag: string): Promise<{ digests: Set<Digest>; tags: Set<string> }> {
  const tags = new Set([tag]);
  const digests = new Set<Digest>();
  for (let before = -1; before < digests.size + tags.size; ) {
    before = digests.size + tags.size;
    for (const one of [...tags]) {
      digests.add(registry.tags.get(one) ?? '');
      if (registry.tags.has(`splitbuild-${one}`)) tags.add(`splitbuild-${one}`);
    }
    for (const digest of [...digests]) {
      for (const child of registry.childrenOf(digest)) digests.add(child.digest);
      const referrers = await registry.listReferrers(repository, digest, signal);
      for (const referrer of referrers.ok ? referrers.value : []) digests.add(referrer.digest);
      const stem = digest.replace(':', '-');
      for (const one of registry.tags.keys()) if (one === stem || one.startsWith(`${stem}.`)) tags.add(one);
    }
  }
  return { digests, tags };
}

async function isVerified(registry: MemoryRegistry, tag: string): Promise<boolean> {
  const seen = await inspectImage(registry, { ...repository, tag }, signal);
  if (!seen.ok) return false;
  const platforms = seen.value.platforms.map((one) => one.platform);
  return (await verifyIndex(registry, { ...repository, tag }, platforms, signal)).ok;
}

async function prune(registry: MemoryRegistry, known: Known): Promise<Pruned> {
  const rules = rulesOf({ tags: ['pr-*'] });
  const request = { repository, rules, known, unlikely: 'x', record: new MemoryRecord(), now: () => now };
  const pruned = await pruneRepository(registry, request, signal);
  if (!pruned.ok) throw new Error(JSON.stringify(pruned.failure));
  return pruned.value;
}

const models: fc.Arbitrary<Model> = fc.record({ tagDeletion: fc.boolean(), referrersApi: fc.boolean() });
const steps = fc.array(step, { minLength: 3, maxLength: 40 });

test('what a kept tag needs is there afterwards, whole', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(steps, models, async (made, model) => {
      const { registry, known } = build(made, model);
      const before = new Map(registry.tags);
      const kept = [...registry.tags.keys()].filter((tag) => stays.includes(tag));
      const needs = await Promise.all(kept.map((tag) => belongings(registry, tag)));
      const verified = await Promise.all(kept.map((tag) => isVerified(registry, tag)));
      // Twice: what is left of a first time, seen by itself, may be less that holds something else.
      const pruned = [await prune(registry, known), await prune(registry, known)];
      expect(pruned.flatMap(({ done }) => done.filter(({ outcome }) => outcome !== 'deleted'))).toEqual([]);
      for (const [at, tag] of kept.entries()) {
        expect(await isVerified(registry, tag)).toBe(verified[at]);
        for (const digest of needs[at]?.digests ?? []) expect(registry.manifests.has(digest), tag).toBe(true);
        for (const own of needs[at]?.tags ?? []) expect(registry.tags.get(own), own).toBe(before.get(own));
      }
      // Where tags can be deleted alone, all that may go is gone.
      if (model.tagDeletion) {
        const held = new Set(needs.flatMap(({ tags }) => [...tags]));
        for (const tag of mayGo.slice(0, 4)) expect(registry.tags.has(tag) && !held.has(tag)).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

test('a tag that moves to something that is about to go protects it', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(steps, models, fc.nat({ max: 8 }), pick, async (made, model, when, which) => {
      const { registry, known } = build(made, model);
      const doomed = [...'abcd'].map((name) => {
        const child = registry.image(name, 'amd64');
        return registry.index([child, registry.attestation(child)], `pr-${name}`).digest;
      });
      let target: Digest | undefined;
      registry.onDeleted = (times) => {
        if (times !== when) return;
        const whole = doomed.filter((digest) => registry.isWhole(digest));
        target = whole[which % whole.length];
        if (target !== undefined) registry.tags.set('v2', target);
      };
      const pruned = await prune(registry, known);
      expect(pruned.done.filter(({ outcome }) => outcome === 'failed')).toEqual([]);
      if (target === undefined) return;
      expect(registry.tags.get('v2')).toBe(target);
      expect(registry.isWhole(target)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
