// An image of 1 GiB as an archive: splitbuild export from a registry against skopeo copy docker-archive: from the same registry, and against
// docker save | pigz of an engine that has the image already. The image's files are this machine's own, from /usr, in eight layers of gzip.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { sha256 } from '../src/image/digest.ts';
import { type Descriptor, mediaTypes } from '../src/image/oci.ts';
import { createRegistryClient, type RegistryClient } from '../src/registry/client.ts';
import { anonymous } from '../src/registry/credentials.ts';
import { value } from '../src/registry/testing.ts';
import { type Engine, startEngine } from './engine.ts';
import { formatMeasurement, type Measurement } from './measurement.ts';
import { splitbuild, systemProgram, timed } from './peers.ts';
import { startRegistry } from './registry.ts';

const signal = new AbortController().signal;
const layerCount = 8;
const layerSize = 128 << 20;
const repository = 'bench/large';

interface Contestant {
  name: string;
  version: string;
  absent?: string;
  file: string;
  run(): Promise<number>;
}

/** Of the same image: a plain .tar, a .tar.gz, and a .tar with plain layers, which is what skopeo makes. */
export async function measure(rounds = 5): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), 'splitbuild-bench-'));
  const ends: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  try {
    const registry = await startRegistry(join(folder, 'registry'));
    ends.push(registry.stop);
    const image = `${registry.address}/${repository}:v1`;
    const compressed = await pushLargeImage(registry.address);
    const engine = await startEngine(join(folder, 'engine'));
    if ('stop' in engine) {
      ends.push(engine.stop);
      await timed('docker', ['--host', engine.host, 'pull', '--quiet', image]);
    }
    const out = (name: string): string => join(folder, name);
    const ours = (file: string, ...more: string[]): Contestant => ({
      name: 'splitbuild',
      version: '',
      file: out(file),
      run: () =>
        timed(process.execPath, [splitbuild, 'export', image, '--out', out(file), '--config', 'none', ...more]),
    });
    const skopeo = skopeoTo(image, out('skopeo.tar'));
    const packer = 'absent' in systemProgram('pigz') ? 'gzip' : 'pigz';
    const note = `${layerCount} layers of ${layerSize >> 20} MiB of /usr, ${(compressed / 2 ** 20).toFixed(0)} MiB as the registry (${registry.name}, on this machine) has them`;
    const measured = async (name: string, contestants: [Contestant, ...Contestant[]]): Promise<Measurement> => {
      const { times, sizes } = await takeTurns(contestants, rounds);
      const [own, ...peers] = contestants;
      return {
        name,
        ours: times.get(own) ?? [],
        peers: peers.map((peer) =>
          peer.absent === undefined
            ? { name: peer.name, version: peer.version, times: times.get(peer) }
            : { name: peer.name, version: peer.version, times: undefined, absent: peer.absent },
        ),
        unit: 'ms',
        target: 'faster than each',
        reached: (medians) => medians.peers.every((peer) => medians.ours < peer),
        note: `${note}; files of ${contestants.flatMap((one) => (sizes.has(one) ? [`${sizes.get(one)} MiB (${one.name})`] : [])).join(', ')}`,
      };
    };
    return [
      await measured('export of 1 GiB, .tar', [ours('ours.tar'), skopeo]),
      await measured('export of 1 GiB, .tar with plain layers', [ours('plain.tar', '--layers', 'unpacked'), skopeo]),
      await measured('export of 1 GiB, .tar.gz', [
        ours('ours.tar.gz'),
        dockerSave(engine, image, packer, out('packed.tar.gz')),
      ]),
      await measured('export of 1 GiB, .tar.gz of plain layers', [
        ours('plain.tar.gz', '--layers', 'unpacked'),
        dockerSave(engine, image, packer, out('packed.tar.gz')),
      ]),
    ];
  } finally {
    for (const end of ends.toReversed()) await end();
  }
}

async function takeTurns(
  contestants: Contestant[],
  rounds: number,
): Promise<{ times: Map<Contestant, number[]>; sizes: Map<Contestant, string> }> {
  const times = new Map<Contestant, number[]>();
  const sizes = new Map<Contestant, string>();
  for (let round = 0; round < rounds; round += 1) {
    // Each goes first in its turn.
    for (const [place] of contestants.entries()) {
      const contestant = contestants[(place + round) % contestants.length];
      if (!contestant || contestant.absent !== undefined) continue;
      await rm(contestant.file, { force: true });
      times.set(contestant, [...(times.get(contestant) ?? []), await contestant.run()]);
      sizes.set(contestant, ((await stat(contestant.file)).size / 2 ** 20).toFixed(0));
      await rm(contestant.file, { force: true });
    }
  }
  return { times, sizes };
}

function skopeoTo(image: string, file: string): Contestant {
  const { version, ...program } = systemProgram('skopeo');
  return {
    name: 'skopeo copy docker-archive:',
    version,
    ...('absent' in program ? { absent: program.absent } : {}),
    file,
    run: () =>
      timed('skopeo', [
        'copy',
        '--quiet',
        '--src-tls-verify=false',
        `docker://${image}`,
        `docker-archive:${file}:a:v1`,
      ]),
  };
}

function dockerSave(engine: Engine, image: string, packer: 'pigz' | 'gzip', file: string): Contestant {
  const program = systemProgram(packer);
  const absent = 'absent' in engine ? engine.absent : 'absent' in program ? program.absent : undefined;
  const host = 'host' in engine ? engine.host : '';
  return {
    name: `docker save | ${packer}`,
    version: 'version' in engine ? engine.version : '',
    ...(absent === undefined ? {} : { absent }),
    file,
    run: () => timed('sh', ['-ec', `docker --host ${host} save ${image} | ${packer} > ${file}`]),
  };
}

/** Pushes it, and gives the bytes of its layers. */
async function pushLargeImage(registry: string): Promise<number> {
  const client = createRegistryClient({ plainHttp: () => true, credentials: anonymous });
  const files = filesOf('/usr');
  const layers: Descriptor[] = [];
  const diffIds: string[] = [];
  for (let place = 0; place < layerCount; place += 1) {
    const { bytes, diffId } = await layerOf(files);
    diffIds.push(diffId);
    layers.push(await put(client, registry, bytes, 'application/vnd.oci.image.layer.v1.tar+gzip'));
  }
  const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const config = { os: 'linux', architecture, config: {}, rootfs: { type: 'layers', diff_ids: diffIds } };
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config: await put(client, registry, Buffer.from(JSON.stringify(config)), mediaTypes.ociConfig),
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  value(await client.putManifest({ registry, repository, tag: 'v1' }, bytes, mediaTypes.ociManifest, signal));
  return layers.reduce((sum, { size }) => sum + size, 0);
}

/** The next files, up to a layer's size, as a tar of gzip. */
async function layerOf(
  files: AsyncGenerator<{ path: string; size: number }>,
): Promise<{ bytes: Buffer; diffId: string }> {
  const tar = pack();
  const hash = createHash('sha256');
  const parts: Buffer[] = [];
  const packed = pipeline(
    Readable.from(
      (async function* () {
        for await (const chunk of tar as AsyncIterable<Buffer>) {
          hash.update(chunk);
          yield chunk;
        }
      })(),
      { objectMode: false },
    ),
    createGzip(),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) parts.push(chunk);
    },
  );
  for (let room = layerSize; room > 0; ) {
    const next = await files.next();
    if (next.done) break;
    const { path, size } = next.value;
    const entry = tar.entry({ name: path.slice(1), size, mtime: new Date(0) });
    await pipeline(createReadStream(path), entry);
    room -= size;
  }
  tar.finalize();
  await packed;
  return { bytes: Buffer.concat(parts), diffId: `sha256:${hash.digest('hex')}` };
}

/** Files of 32 MiB at most, the folders in their order. */
async function* filesOf(folder: string): AsyncGenerator<{ path: string; size: number }> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesOf(path);
    if (!entry.isFile()) continue;
    const { size } = await stat(path);
    if (size > 0 && size <= 32 << 20) yield { path, size };
  }
}

async function put(client: RegistryClient, registry: string, bytes: Buffer, mediaType: string): Promise<Descriptor> {
  const blob = { digest: sha256(bytes), size: bytes.length };
  const open = (offset: number): Readable => Readable.from([bytes.subarray(offset)], { objectMode: false });
  value(await client.putBlob({ registry, repository }, blob, open, signal));
  return { mediaType, ...blob };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
  for (const measurement of await measure(Number(values.rounds))) {
    process.stdout.write(formatMeasurement(measurement));
  }
}
