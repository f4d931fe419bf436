// The family of ten images, four deep, that the ways of building it are measured with, and where it is built.
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDockerClient } from '../src/engine/docker-client.ts';
import type { Measurement } from './measurement.ts';

/** The image that each is built on. */
export const parents: Record<string, string | undefined> = {
  ...{ base: undefined, a: 'base', b: 'base', c: 'base', d: 'a', e: 'b', f: 'c', g: 'd', h: 'e', i: 'f' },
};
export const images = Object.keys(parents);
export const platforms = ['linux/amd64', 'linux/386'];
/** Primes are looked for up to this number on average: about two seconds of one core of 2026. */
const primes = Number(process.env.BENCH_PRIMES ?? 500_000);
/** Bytes of the base that say nothing: what a new machine has to fetch before it can build on it. */
const ballast = 64 << 20;

export interface World {
  /** One for each platform: `unix://…`. */
  engines: string[];
  /** BuildKit's addresses, one for each platform; empty where it isn't there. */
  buildkits: string[];
  registry: string;
  folder: string;
  docker: string;
  builds: 'buildx' | 'integrated';
}

function writeFamily(
  folder: string,
  busybox: string,
  { registry, engines, buildkits }: Pick<World, 'registry' | 'engines' | 'buildkits'>,
  sieves: number,
): void {
  for (const [number, [image, parent]] of Object.entries(parents).entries()) {
    const path = join(folder, image);
    mkdirSync(path);
    const from = parent
      ? `ARG UPSTREAM=bench/${parent}\nFROM \${UPSTREAM}\n`
      : 'FROM scratch\nARG TARGETARCH\nCOPY busybox-${TARGETARCH} /bin/busybox\nCOPY ballast /\nRUN ["/bin/busybox", "--install", "/bin"]\n';
    if (!parent) {
      writeFileSync(join(path, 'ballast'), randomBytes(ballast));
      for (const name of ['amd64', '386', 'arm64'])
        copyFileSync(join(busybox, `busybox-${name}`), join(path, `busybox-${name}`));
    }
    const weights = [0, 1].map((at) => Math.round(primes * (0.5 + (((2 * number + at) * 0.618_034) % 1))));
    const choose = `N=${weights[0]}; if [ "$TARGETARCH" = 386 ]; then N=${weights[1]}; fi`;
    const awk =
      'BEGIN { while (S--) { split("", c); p = 0; for (n = 2; n < N; n++) { if (n in c) continue; p++; for (m = n * n; m < N; m += n) c[m] } } print p }';
    writeFileSync(
      join(path, 'Dockerfile'),
      `${from}ARG TARGETARCH\nARG NONCE\nRUN echo "$NONCE" && ${choose} && awk -v N=$N -v S=${sieves} '${awk}' > /primes-${image}\n`,
    );
  }
  const entries = images.map((image) => `  ${image}: { repository: bench/${image}, source: ./${image} }\n`);
  const write = (file: string, endpoints: string[], engine: string): void => {
    const builders = platforms.map(
      (platform, at) =>
        `  - { name: b${at}, endpoint: "${endpoints[at]}", engine: ${engine}, platforms: [${platform}], slots: 1 }\n`,
    );
    writeFileSync(
      join(folder, file),
      `version: 1\nfamily: bench\nplatforms: [${platforms.join(', ')}]\nregistry: "${registry}"\ntags: [latest]\nvars: { nonce: "0" }\ndefaults: { args: { NONCE: "\${nonce}" } }\nimages:\n${entries.join('')}builders:\n${builders.join('')}`,
    );
  };
  write('splitbuild.yaml', engines, 'docker');
  if (buildkits.length > 0) write('buildkits.yaml', buildkits, 'buildkit');
}

/** `sieves`: how often each build looks for its primes. */
export async function inWorld(sieves: number, work: (world: World) => Promise<Measurement>): Promise<Measurement> {
  const { BENCH_ENGINES, BENCH_BUILDKITS, BENCH_REGISTRY, BENCH_BUSYBOX } = process.env;
  if (!BENCH_ENGINES || !BENCH_REGISTRY || !BENCH_BUSYBOX)
    throw new Error('scripts/bench.sh starts the engines for it');
  if (process.arch !== 'x64') throw new Error('its second native platform is linux/386: it needs an amd64 machine');
  const client = await findDockerClient(process.env, new AbortController().signal);
  if (!client.ok) throw new Error(JSON.stringify(client.failure));
  const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
  try {
    const world: World = {
      engines: BENCH_ENGINES.split(' '),
      buildkits: (BENCH_BUILDKITS ?? '').split(' ').filter(Boolean),
      registry: BENCH_REGISTRY,
      folder,
      docker: client.value.program,
      builds: client.value.builds,
    };
    writeFamily(folder, BENCH_BUSYBOX, world, sieves);
    return await work(world);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
