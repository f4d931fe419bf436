// Family wall time against the critical path of the bare engine commands: the same images, on the same engine and registry, built and
// pushed by docker alone, each platform's chain at its own pace, and by splitbuild, which also reads back, joins, verifies and publishes.
// The two take turns; medians and their ratio are printed.
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findDockerClient } from '../src/engine/docker-client.ts';

const { values } = parseArgs({
  options: {
    engine: { type: 'string', default: 'unix:///var/run/docker.sock' },
    registry: { type: 'string', default: '127.0.0.1:5000' },
    busybox: { type: 'string', default: 'examples/quickstart/base' },
    rounds: { type: 'string', default: '5' },
  },
});
const platforms = process.arch === 'arm64' ? ['linux/arm64'] : ['linux/amd64', 'linux/386'];
const images = ['base', 'dev', 'lib', 'app'];
/** Of the computation in each image: some seconds on a machine of 2026. */
const primesUpTo = 800_000;

const found = await findDockerClient(process.env, new AbortController().signal);
if (!found.ok) throw new Error(JSON.stringify(found.failure));
const client = found.value;
const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const nonce = (): string => `${Date.now()}`;

writeFamily();
const bare: number[] = [];
const ours: number[] = [];
for (let round = 1; round <= Number(values.rounds); round += 1) {
  // The one that goes first changes, for a machine that grows warm or slow meanwhile.
  const turns = [async () => bare.push(await bareCommands()), async () => ours.push(await splitbuild())];
  for (const turn of round % 2 === 0 ? turns.reverse() : turns) await turn();
  process.stderr.write(`round ${round}: bare ${seconds(bare.at(-1))}, splitbuild ${seconds(ours.at(-1))}\n`);
}
process.stdout.write(
  [
    `${images.length} images in a chain for ${platforms.join(' and ')}, one engine (${client.description}), ${cpus().length} cores, ${bare.length} rounds`,
    `critical path of docker build and docker push   median ${seconds(median(bare))}`,
    `splitbuild build, process start included        median ${seconds(median(ours))}`,
    `ratio                                           ${(median(ours) / median(bare)).toFixed(3)}`,
    '',
  ].join('\n'),
);

function writeFamily(): void {
  images.forEach((image, place) => {
    const path = join(folder, image);
    mkdirSync(path);
    const compute = `RUN echo "$NONCE" && awk 'BEGIN { for (n = 2; n < ${primesUpTo}; n++) { if (n in c) continue; p++; for (m = n * n; m < ${primesUpTo}; m += n) c[m] } print p }' > /primes-${image}\n`;
    if (place === 0) {
      for (const platform of platforms) {
        const architecture = platform.slice('linux/'.length);
        copyFileSync(join(values.busybox, `busybox-${architecture}`), join(path, `busybox-${architecture}`));
      }
      writeFileSync(
        join(path, 'Dockerfile'),
        `FROM scratch\nARG TARGETARCH\nCOPY busybox-\${TARGETARCH} /bin/busybox\nRUN ["/bin/busybox", "--install", "/bin"]\nARG NONCE\n${compute}`,
      );
    } else {
      writeFileSync(
        join(path, 'Dockerfile'),
        `ARG UPSTREAM=bench/${images[place - 1]}\nFROM \${UPSTREAM}\nARG NONCE\n${compute}`,
      );
    }
  });
  const entries = images.map((image) => `  ${image}: { repository: bench/${image}, source: ./${image} }`);
  writeFileSync(
    join(folder, 'splitbuild.yaml'),
    `version: 1\nfamily: bench\nplatforms: [${platforms.join(', ')}]\nregistry: "${values.registry}"\ntags: [latest]\nvars: { nonce: "0" }\ndefaults: { args: { NONCE: "\${nonce}" } }\nimages:\n${entries.join('\n')}\nbuilders: [{ name: one, endpoint: "${values.engine}", slots: ${platforms.length} }]\n`,
  );
}

/** Ms of the slowest chain: each image of a platform built and pushed after the one before, both platforms side by side. */
async function bareCommands(): Promise<number> {
  const run = nonce();
  const chains = platforms.map(async (platform) => {
    const started = performance.now();
    let upstream: string | undefined;
    for (const image of images) {
      const name = `${values.registry}/bare/${image}:${run}-${platform.replace(/\W/g, '-')}`;
      const build = client.builds === 'buildx' ? ['buildx', 'build', '--builder', 'default', '--load'] : ['build'];
      const args = ['--build-arg', `NONCE=${run}`, ...(upstream ? ['--build-arg', `UPSTREAM=${upstream}`] : [])];
      await docker(
        ...build,
        '--progress',
        'plain',
        '--platform',
        platform,
        '--tag',
        name,
        ...args,
        join(folder, image),
      );
      await docker('push', '--quiet', name);
      upstream = name;
    }
    return performance.now() - started;
  });
  return Math.max(...(await Promise.all(chains)));
}

async function splitbuild(): Promise<number> {
  const started = performance.now();
  const args = ['dist/cli.js', 'build', '--config', join(folder, 'splitbuild.yaml'), '--state', join(folder, 'state')];
  await run(process.execPath, [...args, '--set', `nonce=${nonce()}`]);
  return performance.now() - started;
}

function docker(...args: string[]): Promise<void> {
  return run(client.program, ['--host', values.engine, ...args]);
}

function run(program: string, args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, CI: 'true', DOCKER_BUILDKIT: '1' },
    });
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000);
    });
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')}:\n${said}`))));
  });
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function seconds(ms: number | undefined): string {
  return `${((ms ?? 0) / 1000).toFixed(2)} s`;
}
