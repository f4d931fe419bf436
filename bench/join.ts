// Joining what was pushed platform by platform: one image, process start included, and a hundred, on this machine and far away, against the
// tools that people loop over.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { sha256 } from '../src/image/digest.ts';
import { mediaTypes } from '../src/image/oci.ts';
import { createRegistryClient } from '../src/registry/client.ts';
import { anonymous } from '../src/registry/credentials.ts';
import { value } from '../src/registry/testing.ts';
import type { Measurement, Medians } from './measurement.ts';
import { goProgram, splitbuild, systemProgram, timed } from './peers.ts';
import { type Registry, startRegistry } from './registry.ts';
import { type Contestant, contestant, takeTurns } from './turns.ts';

type Turns = Awaited<ReturnType<typeof takeTurns>>;

const count = 100;
const architectures = ['amd64', 'arm64'];
const signal = new AbortController().signal;

interface World {
  /** `host:port`. */
  registry: string;
  /** What runs there: `distribution v3.0.0`. */
  program: string;
  folder: string;
}

export function measureMany(rounds = 5): Promise<Measurement> {
  return inWorld(async (world) => ({
    name: `join of ${count} images`,
    ...(await manyTurns(world, rounds, rounds)),
    unit: 'ms',
    target: 'a fifth of the fastest loop',
    reached: fifthOfLoops,
    note: `${count} images of two platforms, pushed to ${world.program} on this machine; the peers take one after the other, as scripts do. splitbuild reads each platform's manifest and config, which says what it is for, and puts the index: five requests an image, which is the least that proves the platform. What bounds it here is the registry's own work, about 10 ms of a processor an image; the same requests by Node's fetch, without a client around them, show that.`,
  }));
}

export function measureFar(rounds = 5): Promise<Measurement> {
  return inWorld(async (near) => {
    const relay = spawn(process.execPath, [join(import.meta.dirname, 'far.ts'), near.registry, `${oneWay}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [address] = await once(relay.stdout, 'data');
      const world = { ...near, registry: String(address).trim() };
      return {
        name: `join of ${count} images in a registry far away`,
        // Loops take half a minute and more, and hardly vary.
        ...(await manyTurns(world, rounds, Math.min(rounds, 2))),
        unit: 'ms',
        target: 'a fifth of the fastest loop',
        reached: fifthOfLoops,
        note: `The same images and registry, behind a relay by which every byte takes ${oneWay} ms each way: a registry is seldom on the machine that joins. Only two rounds of the loops.`,
      };
    } finally {
      relay.kill();
    }
  });
}

/** Ms. */
const oneWay = 10;

/** All peers but the first, which is no loop of a tool. */
function fifthOfLoops({ ours, peers: [, ...loops] }: Medians): boolean {
  return ours <= Math.min(...loops) / 5;
}

async function manyTurns(world: World, rounds: number, loopRounds: number): Promise<Turns> {
  const list = join(world.folder, 'list');
  await writeFile(
    list,
    names(world)
      .map((name) => `${name} ${name}-amd64 ${name}-arm64\n`)
      .join(''),
  );
  return takeTurns(
    [
      {
        name: 'splitbuild join --from',
        version: '',
        run: () => timed(process.execPath, [splitbuild, 'join', '--from', list, '--config', 'none']),
      },
      {
        ...{ name: 'the same requests by fetch', version: process.versions.node },
        run: () => timed(process.execPath, [join(import.meta.dirname, 'bare-join.ts'), world.registry, `${count}`]),
      },
      ...peersOf(world, count).map((peer) => ({ ...peer, rounds: loopRounds })),
    ],
    rounds,
  );
}

export function measureOne(rounds = 5): Promise<Measurement> {
  return inWorld(async (world) => {
    const [name = ''] = names(world);
    const args = ['join', name, `${name}-amd64`, `${name}-arm64`, '--config', 'none'];
    const turns = await takeTurns(
      [
        { name: 'splitbuild join', version: '', run: () => timed(process.execPath, [splitbuild, ...args]) },
        {
          name: 'node -e 0',
          version: process.versions.node,
          run: () => timed(process.execPath, ['-e', '0']),
        },
        ...peersOf(world, 1),
      ],
      rounds * 4,
    );
    return {
      name: 'join of one image',
      ...turns,
      unit: 'ms',
      target: 'within 1.5 × `node -e 0`',
      reached: ({ ours, peer }) => ours <= 1.5 * peer('node -e 0'),
      note: 'Process start included. What is above `node -e 0` is Node loading its network and crypto modules, and three rounds of requests that follow from each other (manifests, configs, index): a script that makes the same five over a bare socket and checks nothing takes about 1.5 × as well.',
    };
  });
}

/** As each tool's own documentation does it; what each needs to be told of a registry without TLS is told. */
function peersOf({ registry, folder }: World, many: number): Contestant[] {
  const buildx = goProgram('buildx');
  const regctl = goProgram('regctl');
  const loop = (command: string): Promise<number> =>
    timed('sh', ['-ec', `for n in $(seq 0 ${many - 1}); do R=${registry}/join/app$n:1; ${command}; done`], {
      ...process.env,
      HOME: folder,
      DOCKER_CLI_EXPERIMENTAL: 'enabled',
    });
  const quiet = '> /dev/null 2>&1';
  return [
    contestant('docker manifest', systemProgram('docker'), (path) =>
      loop(
        `rm -rf ~/.docker/manifests; ${path} manifest create --insecure $R $R-amd64 $R-arm64 ${quiet}; ${path} manifest push --insecure $R ${quiet}`,
      ),
    ),
    contestant('manifest-tool', goProgram('manifest-tool'), (path) =>
      loop(
        `${path} --plain-http push from-args --platforms linux/amd64,linux/arm64 --template $R-ARCH --target $R ${quiet}`,
      ),
    ),
    contestant('crane index append', goProgram('crane'), (path) =>
      loop(`${path} index append --insecure -m $R-amd64 -m $R-arm64 -t $R ${quiet}`),
    ),
    contestant('regctl index create', regctl, (path) =>
      loop(`${path} --host reg=${registry},tls=disabled index create --ref $R-amd64 --ref $R-arm64 $R ${quiet}`),
    ),
    contestant('oras manifest index create', goProgram('oras'), (path) =>
      loop(`${path} manifest index create --plain-http $R 1-amd64 1-arm64 ${quiet}`),
    ),
    contestant('buildx imagetools create', buildx, (path) =>
      loop(`${path} imagetools create -t $R $R-amd64 $R-arm64 ${quiet}`),
    ),
    contestant('buildah manifest', systemProgram('buildah'), (path) => {
      const store = `${path} --root ${folder}/buildah --runroot ${folder}/buildah-run --storage-driver vfs`;
      return loop(
        `${store} manifest create m$n ${quiet}; ${store} manifest add --tls-verify=false m$n docker://$R-amd64 ${quiet}; ` +
          `${store} manifest add --tls-verify=false m$n docker://$R-arm64 ${quiet}; ` +
          `${store} manifest push --tls-verify=false m$n docker://$R ${quiet}; ${store} manifest rm m$n ${quiet}`,
      );
    }),
  ];
}

async function inWorld(work: (world: World) => Promise<Measurement>): Promise<Measurement> {
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-bench-'));
  try {
    const registry: Registry = await startRegistry(join(folder, 'registry'));
    try {
      await fill(registry.address);
      return await work({ registry: registry.address, program: registry.name, folder });
    } finally {
      await registry.stop();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const names = ({ registry }: Pick<World, 'registry'>): string[] =>
  Array.from({ length: count }, (_, number) => `${registry}/join/app${number}:1`);

/** Small images: what is measured is the joining. */
async function fill(registry: string): Promise<void> {
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  for (let number = 0; number < count; number += 1) {
    const repository = { registry, repository: `join/app${number}` };
    for (const architecture of architectures) {
      const layer = Buffer.from(`layer of ${number} for ${architecture}`);
      const config = { os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: [sha256(layer)] }, number };
      const [configOf, layerOf] = await Promise.all(
        [Buffer.from(JSON.stringify(config)), layer].map(async (bytes) => {
          const blob = { digest: sha256(bytes), size: bytes.length };
          value(await client.putBlob(repository, blob, () => Readable.from([bytes]), signal));
          return blob;
        }),
      );
      const manifest = {
        schemaVersion: 2,
        mediaType: mediaTypes.dockerManifest,
        config: { mediaType: 'application/vnd.docker.container.image.v1+json', ...configOf },
        layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', ...layerOf }],
      };
      const bytes = Buffer.from(JSON.stringify(manifest));
      const reference = { ...repository, tag: `1-${architecture}` };
      value(await client.putManifest(reference, bytes, mediaTypes.dockerManifest, signal));
    }
  }
}
