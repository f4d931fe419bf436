// The same Dockerfile built natively and interpreted by QEMU: a compiler's work, which is what most images wait for.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findDockerClient } from '../src/engine/docker-client.ts';
import type { Measurement } from './measurement.ts';
import { timed } from './peers.ts';
import { takeTurns } from './turns.ts';

/** Interpreted, about a minute of a core; natively, some seconds. */
const functions = 400;
const architectures = {
  native: process.arch === 'arm64' ? 'arm64' : 'amd64',
  foreign: process.arch === 'arm64' ? 'amd64' : 'arm64',
};

export async function measure(rounds = 5): Promise<Measurement> {
  const [engine] = (process.env.BENCH_ENGINES ?? '').split(' ');
  if (!engine) throw new Error('scripts/bench.sh starts the engine for it');
  const client = await findDockerClient(process.env, new AbortController().signal);
  if (!client.ok) throw new Error(JSON.stringify(client.failure));
  const { program, builds } = client.value;
  const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
  const env = { ...process.env, CI: 'true', DOCKER_BUILDKIT: '1' };
  const build = (...args: string[]): Promise<number> => {
    const command = builds === 'buildx' ? ['buildx', 'build', '--builder', 'default', '--load'] : ['build'];
    return timed(program, ['--host', engine, ...command, '--progress', 'plain', ...args], env);
  };
  try {
    for (const architecture of Object.values(architectures)) {
      execFileSync('bash', [join(import.meta.dirname, 'toolchain.sh'), architecture, join(folder, architecture)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      writeFileSync(join(folder, architecture, 'Dockerfile'), 'FROM scratch\nCOPY root /\n');
      await build(
        '--platform',
        `linux/${architecture}`,
        '--tag',
        `toolchain-${architecture}`,
        join(folder, architecture),
      );
    }
    const context = join(folder, 'context');
    mkdirSync(context);
    writeFileSync(join(context, 'many.c'), manyFunctions());
    writeFileSync(
      join(context, 'Dockerfile'),
      'ARG TARGETARCH\nFROM toolchain-${TARGETARCH}\nCOPY many.c /many.c\nARG NONCE\nRUN ["/usr/bin/gcc-12", "-O2", "-c", "/many.c", "-o", "/many.o"]\n',
    );
    const compile = (architecture: string) => () =>
      build('--platform', `linux/${architecture}`, '--build-arg', `TARGETARCH=${architecture}`, '--no-cache', context);
    const turns = await takeTurns(
      [
        { name: `linux/${architectures.native}, native`, version: '', run: compile(architectures.native) },
        {
          name: `linux/${architectures.foreign}, QEMU`,
          version: '',
          rounds: Math.min(rounds, 2),
          run: compile(architectures.foreign),
        },
      ],
      rounds,
    );
    return {
      name: 'native against emulated',
      ...turns,
      unit: 'ms',
      target: 'shown',
      note: `gcc -O2 of ${functions} C functions in a docker build, on an engine of one core: why each platform is built on a machine of its own.`,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function manyFunctions(): string {
  return Array.from(
    { length: functions },
    (_, n) =>
      `int f${n}(int *a, int n) { int s = ${n}; for (int i = 0; i < n; i++) { s += a[i] * ${n + 3}; if (s & ${(n % 7) + 1}) s ^= a[i] >> ${n % 5}; switch (s % 5) { case 0: s += ${n}; break; case 1: s -= i; break; case 3: s *= 3; } } return s; }\n`,
  ).join('');
}
