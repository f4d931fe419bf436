// What must be true whatever went wrong: units entirely old or entirely new, images whole and of one run, nothing repeated, nothing told.
import { gunzipSync } from 'node:zlib';
import { z } from 'zod';
import { isIndex, isManifest } from '../../src/image/store.ts';
import { verifyIndex } from '../../src/image/verify.ts';
import { skopeo } from '../lab/lab.ts';
import { architectures, images, parents, platforms, repositoryOf, tag, tags } from './family.ts';
import type { Rig } from './rig.ts';

export interface Violation {
  invariant:
    | 'whole units'
    | 'published'
    | 'verified'
    | 'one run'
    | 'not repeated'
    | 'no secret'
    | 'ends well'
    | 'recovers';
  text: string;
}

/** Digest by `image:tag`; undefined where there is none. */
export type Tags = Map<string, string | undefined>;

const patience = (): AbortSignal => AbortSignal.timeout(60_000);

export async function readTags(rig: Rig): Promise<Tags> {
  const names = images.flatMap((image) => tags.map((name) => ({ image, name })));
  const read = await Promise.all(
    names.map(async ({ image, name }) => {
      const reference = { registry: rig.direct.address, repository: repositoryOf(image), tag: name };
      const head = await rig.direct.client.headManifest(reference, patience());
      if (!head.ok) throw new Error(`the registry does not answer the lab: ${JSON.stringify(head.failure)}`);
      return [`${image}:${name}`, head.value?.digest] as const;
    }),
  );
  return new Map(read);
}

export interface UnitState {
  /** An image, or the family. */
  unit: string;
  state: 'old' | 'new' | 'mixed';
  /** Those that are new, of a mixed one. */
  moved: string[];
}

/** Every tag gets a new digest in a schedule: one that is as before has not been moved. */
export function unitStates(before: Tags, now: Tags, publish: 'image' | 'family'): UnitState[] {
  const units =
    publish === 'family' ? [{ unit: 'family', of: images }] : images.map((image) => ({ unit: image, of: [image] }));
  return units.map(({ unit, of }) => {
    const names = of.flatMap((image) => tags.map((name) => `${image}:${name}`));
    const moved = names.filter((name) => before.get(name) !== now.get(name));
    const state = moved.length === 0 ? 'old' : moved.length === names.length ? 'new' : 'mixed';
    return { unit, state, moved: state === 'mixed' ? moved : [] };
  });
}

const configSchema = z.looseObject({ rootfs: z.looseObject({ diff_ids: z.array(z.string()) }) });

/**
 * The published family: each index verifies and has the platforms, each arch tag is the index's own image, each image has its parent's
 * layers under its own (so all are of one run), the base has this schedule's file, and the secret is in no config and no layer.
 */
export async function checkPublished(rig: Rig, now: Tags, number: string): Promise<Violation[]> {
  const violations: Violation[] = [];
  const wrong = (invariant: Violation['invariant'], text: string): void => void violations.push({ invariant, text });
  const { client, address: registry } = rig.direct;
  const layers = new Map<string, string[]>();
  for (const image of images) {
    const repository = repositoryOf(image);
    const verified = await verifyIndex(client, { registry, repository, tag }, platforms, patience());
    if (!verified.ok) {
      wrong('verified', `${image}:${tag}: ${JSON.stringify(verified.failure)}`);
      continue;
    }
    if (verified.value.platforms.length !== platforms.length) {
      wrong(
        'verified',
        `${image}:${tag} has ${verified.value.platforms.length} platforms instead of ${platforms.length}`,
      );
    }
    for (const architecture of architectures) {
      const member = verified.value.platforms.find(({ platform }) => platform.architecture === architecture);
      const tagged = now.get(`${image}:${tag}-${architecture}`);
      if (!member || member.digest !== (await imageOf(rig, repository, tagged, architecture))) {
        wrong('one run', `${image}:${tag}-${architecture} is ${tagged}, the index has ${member?.digest}`);
        continue;
      }
      const manifest = await client.getManifest({ registry, repository, digest: member.digest }, patience());
      if (!manifest.ok || !isManifest(manifest.value)) {
        wrong('verified', `${image} ${architecture}: its manifest can't be read`);
        continue;
      }
      const config = await client.readBlob({ registry, repository }, manifest.value.content.config.digest, patience());
      if (!config.ok) {
        wrong('verified', `${image} ${architecture}: its config can't be read`);
        continue;
      }
      const text = Buffer.from(config.value).toString();
      if (text.includes(rig.canary)) wrong('no secret', `it is in the config of ${image} ${architecture}`);
      const own = configSchema.parse(JSON.parse(text)).rootfs.diff_ids;
      layers.set(`${image} ${architecture}`, own);
      const parent = parents[image];
      const under = parent ? (layers.get(`${parent} ${architecture}`) ?? []) : [];
      if (under.some((layer, place) => own[place] !== layer)) {
        wrong('one run', `${image} ${architecture} is not built on the ${parent} that is published`);
      }
      let numbered = parent !== undefined;
      for (const { digest, size } of manifest.value.content.layers) {
        if (size > 100_000) continue; // busybox
        const blob = await client.readBlob({ registry, repository }, digest, patience());
        if (!blob.ok) {
          wrong('verified', `${image} ${architecture}: layer ${digest} can't be read`);
          continue;
        }
        const content = gunzipSync(blob.value);
        if (content.includes(rig.canary)) wrong('no secret', `it is in a layer of ${image} ${architecture}`);
        if (content.includes(`${number}\n`)) numbered = true;
      }
      if (!numbered) wrong('published', `base ${architecture} has not the file of ${number}`);
    }
  }
  return violations;
}

/** The image under an arch tag: what it points at, or what lies in the index (with attestations) that it points at. */
async function imageOf(
  rig: Rig,
  repository: string,
  digest: string | undefined,
  architecture: string,
): Promise<string | undefined> {
  if (digest === undefined) return undefined;
  const { client, address: registry } = rig.direct;
  const read = await client.getManifest({ registry, repository, digest }, patience());
  if (!read.ok || !isIndex(read.value)) return digest;
  return read.value.content.manifests.find(({ platform }) => platform?.architecture === architecture)?.digest;
}

const rawSchema = z.looseObject({
  manifests: z.array(z.looseObject({ platform: z.looseObject({ architecture: z.string() }) })),
});

/** The same, of one image, seen by skopeo. */
export function checkWithSkopeo(rig: Rig, image: string): Violation[] {
  const reference = `docker://${rig.direct.address}/${repositoryOf(image)}:${tag}`;
  try {
    const raw = rawSchema.parse(JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', reference)));
    const found = raw.manifests.map(({ platform }) => platform.architecture).filter((one) => one !== 'unknown');
    if (found.join() === architectures.join()) return [];
    return [{ invariant: 'verified', text: `skopeo finds ${found.join(', ')} in ${image}` }];
  } catch (error) {
    return [{ invariant: 'verified', text: `skopeo can't read ${image}: ${String(error).slice(0, 500)}` }];
  }
}
