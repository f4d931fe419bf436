// Nothing has changed: two hundred images of two platforms that were all built and published before, and the command is run again.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Measurement, median } from './measurement.ts';
import { goProgram, splitbuild, timed } from './peers.ts';
import { type Contestant, contestant, takeTurns } from './turns.ts';

const count = Number(process.env.BENCH_IMAGES ?? 200);
const platforms = ['linux/amd64', 'linux/386'];

export async function measure(rounds = 5): Promise<Measurement> {
  const { BENCH_ENGINES, BENCH_BUILDKITS = '', BENCH_REGISTRY: registry } = process.env;
  if (!BENCH_ENGINES || !registry) throw new Error('scripts/bench.sh starts the engines for it');
  const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
  try {
    const names = writeFamily(folder, registry, BENCH_ENGINES.split(' '));
    const args = ['build', '--config', join(folder, 'splitbuild.yaml'), '--state', join(folder, 'state')];
    process.stderr.write('  the first build of all\n');
    await timed(process.execPath, [splitbuild, ...args]);
    const seldom = Math.min(rounds, 3);
    const home = { ...process.env, HOME: folder };
    const turns = await takeTurns(
      [
        { name: 'splitbuild build', version: '', run: () => timed(process.execPath, [splitbuild, ...args]) },
        bake(folder, names, BENCH_BUILDKITS.split(' ')),
        {
          ...contestant('loop of buildx imagetools create', goProgram('buildx'), (path) => {
            const parts = platforms.map((_, at) => `$n-${at === 0 ? 'amd64' : '386'}`).join(' ');
            const command = `for n in ${names.join(' ')}; do ${path} imagetools create -t $n-joined ${parts}; done`;
            return timed('sh', ['-ec', `{ ${command}; } > /dev/null 2>&1`], home);
          }),
          rounds: seldom,
        },
      ],
      rounds,
    );
    const rate = Math.round(count / (median(turns.ours) / 1000));
    return {
      name: `nothing changed, ${count} images, two platforms`,
      ...turns,
      unit: 'ms',
      target: '10 × faster than each, 300 images a second',
      reached: ({ ours, peers }) => ours <= (count / 300) * 1000 && peers.every((peer) => ours * 10 <= peer),
      note: `${rate} images a second, ${platforms.length * rate} of a single platform. splitbuild asks where the three tags of each image point, as noted for the same keys when it was last built, and asks no engine (on ${process.env.BENCH_REGISTRY_NAME ?? 'a registry'}). Its time is that of its own processor: a third goes into 600 requests by undici (bare connections would take a third of that, but a client of its own isn’t worth it to splitbuild), an eighth into config and Dockerfiles, and about a tenth each into loading itself, the files of contexts and collecting garbage. Bake finds every step in its cache; imagetools only joins what is there, which is less than is asked here.`,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeFamily(folder: string, registry: string, engines: string[]): string[] {
  const entries: string[] = [];
  for (let number = 0; number < count; number += 1) {
    const path = join(folder, `i${number}`);
    mkdirSync(path);
    const parent = number === 0 ? 'scratch' : `many/i${Math.floor((number - 1) / 3)}`;
    writeFileSync(join(path, 'Dockerfile'), `FROM ${parent}\nCOPY name /name-${number}\n`);
    writeFileSync(join(path, 'name'), `${number} ${Date.now()}\n`);
    entries.push(`  i${number}: { repository: many/i${number}, source: ./i${number} }\n`);
  }
  const builders = platforms.map(
    (platform, at) => `  - { name: b${at}, endpoint: "${engines[at]}", platforms: [${platform}], slots: 2 }\n`,
  );
  writeFileSync(
    join(folder, 'splitbuild.yaml'),
    `version: 1\nfamily: many\nplatforms: [${platforms.join(', ')}]\nregistry: "${registry}"\ntags: [latest]\nimages:\n${entries.join('')}builders:\n${builders.join('')}`,
  );
  return entries.map((_, number) => `${registry}/many/i${number}:latest`);
}

/** A BuildKit for each platform; the first go, which fills their caches, isn't counted. */
function bake(folder: string, names: string[], buildkits: string[]): Contestant {
  const buildx = goProgram('buildx');
  const name = 'buildx bake, all cached';
  const { path, version } = buildx;
  const [first, second] = buildkits;
  if (path === undefined) return { name, version, absent: buildx.absent, run: async () => 0 };
  if (!first || !second) return { name, version, absent: 'there is no BuildKit here', run: async () => 0 };
  const env = { ...process.env, HOME: folder };
  const file = join(folder, 'bake.json');
  const again = (): Promise<number> =>
    timed(path, ['bake', '--builder', 'many', '--push', '--progress', 'plain', '-f', file], env);
  const prepare = async (): Promise<void> => {
    const create = ['create', '--name', 'many', '--driver', 'remote'];
    await timed(path, [...create, '--node', 'one', '--platform', platforms[0] ?? '', first], env);
    await timed(path, [...create, '--append', '--node', 'two', '--platform', platforms[1] ?? '', second], env);
    const target = names.map((tag, number) => {
      const parent = number === 0 ? undefined : `i${Math.floor((number - 1) / 3)}`;
      const contexts = parent ? { contexts: { [`many/${parent}`]: `target:${parent}` } } : {};
      return [
        `i${number}`,
        { context: join(folder, `i${number}`), platforms, tags: [`${tag}-bake`], ...contexts },
      ] as const;
    });
    const group = { default: { targets: target.map(([one]) => one) } };
    writeFileSync(file, JSON.stringify({ group, target: Object.fromEntries(target) }));
    await again();
  };
  let prepared: Promise<void> | undefined;
  return {
    ...{ name, version },
    // It takes minutes.
    rounds: 1,
    run: async () => {
      prepared ??= prepare();
      await prepared;
      return again();
    },
  };
}
