// The embedded registry under the OCI's own conformance suites (scripts/conformance.sh builds
// them). Whatever a suite can test of a registry without a login is switched on; what it skips is named here, so that nothing joins in silence.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EmbeddedRegistry, startEmbeddedRegistry } from '../src/registry/embedded.ts';

const root = join(import.meta.dirname, '..');
const problem = spawnSync('go', ['version']).status === 0 ? undefined : 'Go, which builds the suites, is not installed';

interface Case {
  name: string;
  status: string;
}

/** The cases of a JUnit report. */
function casesOf(file: string): Case[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/<testcase name="([^"]*)"[^>]*? status="([a-z]+)"/g)].map(([, name = '', status = '']) => ({
    name,
    status,
  }));
}

function count(cases: Case[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of cases) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

describe.skipIf(problem)(`the OCI conformance suites${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let folder: string;
  let registry: EmbeddedRegistry;
  let ended: { code: number | null; said: string };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'conformance-'));
    const started = await startEmbeddedRegistry({ root: join(folder, 'registry') });
    if (!started.ok) throw new Error(JSON.stringify(started.failure));
    registry = started.value;
    // Not spawnSync: this process serves the registry.
    ended = await new Promise((resolve) => {
      const child = spawn('bash', ['scripts/conformance.sh', registry.address, join(folder, 'results')], { cwd: root });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += String(chunk)));
      child.on('close', (code) => resolve({ code, said }));
    });
  }, 1_300_000);
  afterAll(async () => {
    await registry?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('all end without a failure', (context) => {
    if (ended.code === 3) context.skip(`the suites can't be built here: ${ended.said.trim().split('\n').at(-1)}`);
    expect(ended, ended.said.slice(-4000)).toMatchObject({ code: 0 });
  });

  test.for([
    [
      'spec-1.1',
      691,
      ['mount anonymous/blob-mount-anonymous', 'post cancel/blob-post-cancel', 'range requests/range 500-0'],
    ],
    ['spec-dev', 789, ['mount anonymous/blob-mount-anonymous', 'range requests/range 500-0']],
  ] as const)('%s: every case passes but those that it leaves to the registry', ([name, total, skipped], context) => {
    if (ended.code === 3) context.skip("the suites can't be built here");
    const cases = casesOf(join(folder, 'results', name, 'junit.xml'));
    const left = ['sha256', 'sha512'].flatMap((algorithm) =>
      skipped.map((rest) => `OCI Conformance Test/${algorithm} blobs/${rest}`),
    );
    expect(cases.filter(({ status }) => status === 'skipped').map((one) => one.name)).toEqual(left);
    expect(count(cases)).toEqual({ passed: total - left.length, skipped: left.length });
  });

  test('the four workflows of spec 1.1 pass', (context) => {
    if (ended.code === 3) context.skip("the suites can't be built here");
    const cases = casesOf(join(folder, 'results', 'workflows', 'junit.xml'));
    const of = (workflow: string) =>
      count(cases.filter(({ name }) => name.startsWith(`[It] OCI Distribution Conformance Tests ${workflow} `)));
    expect({
      pull: of('Pull'),
      push: of('Push'),
      'content discovery': of('Content Discovery'),
      'content management': of('Content Management'),
    }).toEqual({
      pull: { passed: 24, skipped: 1 },
      push: { passed: 26, skipped: 3 },
      'content discovery': { passed: 14, skipped: 1 },
      'content management': { passed: 10 },
    });
  });
});
