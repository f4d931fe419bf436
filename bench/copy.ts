// 30 images of two platforms each copied from one registry to another, which is empty each time: splitbuild copy against skopeo, crane and
// regctl, which take turns. The peers copy an image a call, six calls at a time, as splitbuild has six images under way.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pushBlob } from '../src/export/testing.ts';
import { sha256 } from '../src/image/digest.ts';
import { type Descriptor, mediaTypes } from '../src/image/oci.ts';
import { createRegistryClient } from '../src/registry/client.ts';
import { anonymous } from '../src/registry/credentials.ts';
import { noise, value } from '../src/registry/testing.ts';
import { formatMeasurement, type Measurement } from './measurement.ts';
import { goProgram, type Program, splitbuild, systemProgram, timed } from './peers.ts';
import { startRegistry } from './registry.ts';

const count = 30;
/** Bytes of the layers that all images of a platform share, and of each image's own. */
const shared = [16 << 20, 12 << 20, 4 << 20];
const own = [4 << 20, 1 << 20, 200_000];
const platforms = ['amd64', 'arm64'];
const signal = new AbortController().signal;

export async function measure(rounds = 5): Promise<Measurement> {
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-bench-'));
  try {
    const from = await startRegistry(join(folder, 'from'));
    try {
      const names = await fill(from.address);
      const skopeo = systemProgram('skopeo');
      const crane = goProgram('crane');
      const regctl = goProgram('regctl');
      const contestants: { name: string; program: Program; run(pairs: string, to: string): Promise<number> }[] = [
        {
          name: 'splitbuild',
          program: { path: splitbuild, version: '' },
          run: (pairs) => timed(process.execPath, [splitbuild, 'copy', '--from-file', pairs, '--config', 'none']),
        },
        {
          name: 'skopeo copy --all',
          program: skopeo,
          run: (pairs) =>
            six(
              pairs,
              'skopeo copy --all --quiet --src-tls-verify=false --dest-tls-verify=false docker://$1 docker://$2',
            ),
        },
        { name: 'crane copy', program: crane, run: (pairs) => six(pairs, `${crane.path} copy --insecure $1 $2`) },
        {
          name: 'regctl image copy',
          program: regctl,
          run: (pairs, to) =>
            six(
              pairs,
              `${regctl.path} image copy --host reg=${from.address},tls=disabled --host reg=${to},tls=disabled $1 $2`,
            ),
        },
      ];
      const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
      for (let round = 0; round < rounds; round += 1) {
        // Each goes first in its turn.
        for (const [place] of contestants.entries()) {
          const contestant = contestants[(place + round) % contestants.length];
          if (contestant?.program.path === undefined) continue;
          const data = join(folder, 'to');
          const to = await startRegistry(data);
          try {
            const pairs = join(folder, 'pairs');
            await writeFile(pairs, names.map((name) => `${from.address}/${name} ${to.address}/${name}\n`).join(''));
            times.get(contestant.name)?.push(await contestant.run(pairs, to.address));
          } finally {
            await to.stop();
            await rm(data, { recursive: true, force: true });
          }
        }
      }
      const [ours, ...peers] = contestants;
      return {
        name: `copy of ${count} images`,
        ours: times.get(ours?.name ?? '') ?? [],
        peers: peers.map(({ name, program }) =>
          program.path === undefined
            ? { name, version: program.version, times: undefined, absent: program.absent }
            : { name, version: program.version, times: times.get(name) },
        ),
        unit: 'ms',
        target: 'faster than each',
        reached: (medians) => medians.peers.every((peer) => medians.ours < peer),
        note: `${count} images of ${platforms.length} platforms; ${mib(shared)} MiB of layers shared by the images of a platform, ${mib(own)} MiB of each one's own; between two registries (${from.name}) on this machine, the second empty`,
      };
    } finally {
      await from.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function six(pairs: string, command: string): Promise<number> {
  return timed('sh', ['-c', `xargs -P 6 -n 2 sh -ec '${command}' copy < ${pairs}`]);
}

async function fill(registry: string): Promise<string[]> {
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  const names: string[] = [];
  for (let place = 0; place < count; place += 1) {
    const repository = `family/image-${place}`;
    const images: Descriptor[] = [];
    for (const architecture of platforms) {
      const base = shared.map((size, at) => noise(size, `${architecture} ${at}`));
      const layers = [...base, ...own.map((size, at) => noise(size, `${architecture} ${place} ${at}`))];
      const config = Buffer.from(
        JSON.stringify({ os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: layers.map(sha256) }, place }),
      );
      const manifest = {
        schemaVersion: 2,
        mediaType: mediaTypes.ociManifest,
        config: await pushBlob(client, registry, repository, config, mediaTypes.ociConfig),
        layers: await Promise.all(
          layers.map((layer) =>
            pushBlob(client, registry, repository, layer, 'application/vnd.oci.image.layer.v1.tar'),
          ),
        ),
      };
      const put1 = await client.putManifest(
        { registry, repository },
        Buffer.from(JSON.stringify(manifest)),
        mediaTypes.ociManifest,
        signal,
      );
      images.push({ ...value(put1), platform: { os: 'linux', architecture } });
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: images };
    const bytes = Buffer.from(JSON.stringify(index));
    value(await client.putManifest({ registry, repository, tag: 'v1' }, bytes, mediaTypes.ociIndex, signal));
    names.push(`${repository}:v1`);
  }
  return names;
}

function mib(sizes: number[]): string {
  return (sizes.reduce((sum, size) => sum + size, 0) / (1 << 20)).toFixed(0);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
  process.stdout.write(formatMeasurement(await measure(Number(values.rounds))));
}
