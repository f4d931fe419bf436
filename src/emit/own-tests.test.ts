// What a job does with an image's own tests: its script is run by a real shell, with a docker that only notes how it is called.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generate, readPipeline } from './generate.ts';

let folder = '';
const log = (): string => join(folder, 'log');

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'splitbuild-tests-'));
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY Dockerfile /\n');
  for (const args of [
    ['init', '-q'],
    ['add', '.'],
    ['-c', 'user.name=t', '-c', 'user.email=t@t', 'commit', '-qm', 'one'],
  ]) {
    execFileSync('git', args, { cwd: folder });
  }
  mkdirSync(join(folder, 'bin'));
  // One line a call: its arguments, each in brackets. A test of `false` fails.
  writeFileSync(
    join(folder, 'bin/docker'),
    `#!/bin/sh\nfor word in "$@"; do printf '[%s]' "$word"; done >> ${log()}\necho >> ${log()}\ncase "$*" in *false*) exit 1;; esac\n`,
  );
  chmodSync(join(folder, 'bin/docker'), 0o755);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function options(config: string) {
  const file = join(folder, 'splitbuild.yaml');
  writeFileSync(file, `version: 1\nfamily: t\nplatforms: [linux/amd64]\nregistry: r.example\n${config}`);
  return {
    ...{ text: config, file, root: folder, provider: 'circleci' as const, steps: 'docker' as const },
    ...{ env: {}, set: {}, now: new Date(), header: [], signal: new AbortController().signal },
  };
}

async function runJob(config: string): Promise<{ code: number; calls: string[] }> {
  const given = options(config);
  const read = await readPipeline({ ...given, text: readFileSync(given.file, 'utf8') });
  if (!read.ok) throw new Error(JSON.stringify(read.failure));
  const steps = read.value.pipeline.workflows.flatMap(({ jobs }) => jobs).flatMap((job) => job.steps);
  const build = steps.find((step) => step.kind === 'script' && step.parts?.uses === 'build');
  if (build?.kind !== 'script') throw new Error('no build');
  writeFileSync(log(), '');
  const env = { PATH: `${join(folder, 'bin')}:${process.env.PATH}`, RUN_ID: '7', FINAL_TAG: 'latest' };
  let code = 0;
  try {
    execFileSync('sh', ['-c', build.script.replaceAll('sleep "$wait"', ':')], { cwd: folder, env, stdio: 'pipe' });
  } catch {
    code = 1;
  }
  return { code, calls: readFileSync(log(), 'utf8').trim().split('\n') };
}

describe('a job of plain docker commands', () => {
  test('runs each test in the image that it built, as it is written, and pushes then', async () => {
    const tests = `["echo \\"it's $HOME\\" | grep home", [/app, 'a b', "c'd"]]`;
    const { code, calls } = await runJob(`images: { app: { repository: t/app, test: ${tests} } }\n`);
    expect(code).toBe(0);
    const image = 'r.example/t/app:run-7-amd64';
    const run = `[run][--rm][--platform][linux/amd64][--entrypoint]`;
    expect(calls.slice(-3)).toEqual([
      `${run}[sh][${image}][-c][echo "it's $HOME" | grep home]`,
      `${run}[/app][${image}][a b][c'd]`,
      `[push][${image}]`,
    ]);
  });

  test('pushes nothing where a test fails', async () => {
    const { code, calls } = await runJob('images: { app: { repository: t/app, test: ["true", "false", "true"] } }\n');
    expect(code).toBe(1);
    expect(calls.filter((call) => call.startsWith('[run]'))).toHaveLength(2);
    expect(calls.filter((call) => call.startsWith('[push]'))).toEqual([]);
  });

  test('has no gates and carries nothing, which is said', async () => {
    const given = options('gates: ["true"]\nfailedPlatform: carry\nimages: { app: { repository: t/app } }\n');
    const made = await generate({ ...given, text: readFileSync(given.file, 'utf8') });
    expect(made.ok && made.value.warnings.map(({ code }) => code)).toEqual([
      'not-in-docker-steps',
      'not-in-docker-steps',
    ]);
    const own = await generate({ ...given, text: readFileSync(given.file, 'utf8'), steps: 'splitbuild' });
    expect(own.ok && own.value.warnings).toEqual([]);
  });
});
