// What is emitted for CircleCI, read back as CircleCI would run it: the same jobs, needs, scripts and values as the pipeline's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { expandPipeline } from '../rehearse/expand.ts';
import { parsePipeline } from '../rehearse/parse.ts';
import type { Trigger } from '../rehearse/pipeline.ts';
import { checkCircleci } from './check.ts';
import { globPattern } from './circleci.ts';
import { type Generated, type GenerateOptions, generate } from './generate.ts';

const root = mkdtempSync(join(tmpdir(), 'splitbuild-emit-'));
afterAll(() => rmSync(root, { recursive: true }));

async function emit(config: object, options: Partial<GenerateOptions> = {}): Promise<Generated> {
  const generated = await generate({
    provider: 'circleci',
    file: join(root, 'splitbuild.yaml'),
    text: stringify(config),
    env: {},
    set: {},
    root,
    steps: 'docker',
    header: ['Made by a test'],
    now: new Date(0),
    signal: new AbortController().signal,
    ...options,
  });
  if (!generated.ok) throw new Error(JSON.stringify(generated.failure));
  return generated.value;
}

const trigger: Trigger = {
  ref: { kind: 'tag', name: 'v1.2.3' },
  revision: 'abc',
  number: 7,
  id: 'id',
  gitUrl: 'https://github.com/o/r',
};

/** Each workflow's jobs, as they would run. */
function expanded({ files }: Generated) {
  const parsed = parsePipeline(files['.circleci/config.yml'] ?? '', 'config.yml');
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure));
  const pipeline = expandPipeline(parsed.value, trigger);
  if (!pipeline.ok) throw new Error(JSON.stringify(pipeline.failure));
  return pipeline.value.workflows;
}

/** A setting as the shell would have it, its parameters filled in. */
function filled(template: string, params: Record<string, string>): string {
  return template.replace(/\$\$|\$\{([^{}]*)\}/g, (whole, name: string | undefined) => {
    if (name === undefined) return whole === '$$' ? '$' : whole;
    return (params[name] ?? '').replaceAll('${gitTag}', 'v1.2.3');
  });
}

function expectSame(generated: Generated): void {
  const workflows = expanded(generated);
  for (const { name, jobs } of generated.pipeline.workflows) {
    const run = workflows.find((workflow) => workflow.name === name)?.jobs.map(({ job }) => job) ?? [];
    expect(run.map((job) => job.name).sort()).toEqual(jobs.map((job) => job.name).sort());
    for (const job of jobs) {
      const emitted = run.find((one) => one.name === job.name);
      expect(emitted?.requires.map((one) => one.job).sort()).toEqual([...job.needs].sort());
      const scripts = emitted?.steps.flatMap((step) => (step.kind === 'run' ? [step] : [])) ?? [];
      const wanted = job.steps.flatMap((step) => (step.kind === 'script' && step.parts ? [step.parts] : []));
      expect(scripts.map(({ command }) => command.trimEnd())).toEqual(wanted.map(({ body }) => body));
      for (const [place, { settings }] of wanted.entries()) {
        for (const [variable, value] of Object.entries(settings)) {
          expect(scripts[place]?.environment[variable] ?? '', `${job.name} ${variable}`).toBe(
            filled(value, job.params),
          );
        }
      }
      expect(emitted?.environment).toMatchObject({ RUN_ID: '7' });
      if ('final_tag' in job.params) {
        expect(emitted?.environment.FINAL_TAG).toBe(job.params.final_tag?.replaceAll('${gitTag}', 'v1.2.3'));
      }
    }
  }
}

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,5}([._-][a-z0-9]{1,4})?$/);
const value = fc.stringMatching(/^[ -~]{0,12}$/).filter((text) => !/[${}<>]|\\/.test(text) && text.trim() === text);
const platform = fc.constantFrom(
  ...[
    'amd64',
    '386',
    'arm64',
    'arm/v6',
    'arm/v7',
    'riscv64',
    'ppc64le',
    's390x',
    'mips64le',
    'loong64',
    'amd64/v2',
    'amd64/v3',
  ].map((architecture) => `linux/${architecture}`),
);

const families = fc
  .record({
    names: fc.uniqueArray(name, { minLength: 1, maxLength: 6, selector: (text) => text.replace(/\W/g, '-') }),
    platforms: fc.uniqueArray(platform, { minLength: 1, maxLength: 12 }),
    args: fc.dictionary(
      fc.stringMatching(/^[A-Z][A-Z_]{0,5}$/).filter((one) => !/TOKEN|KEY|SECRET|PASS/.test(one)),
      value,
      { maxKeys: 3 },
    ),
    tags: fc.uniqueArray(fc.stringMatching(/^v?[0-9]{1,2}\.[0-9]{1,2}(\.[0-9])?$/), { minLength: 1, maxLength: 2 }),
    needs: fc.array(fc.nat(5), { maxLength: 6 }),
    registry: fc.constantFrom(undefined, 'localhost:5000', 'registry.example.com:8443/team', 'docker.io'),
    chain: fc.constantFrom('arch', 'manifest'),
    emulated: fc.boolean(),
    // With a dot it would be a registry's host.
    org: name.filter((text) => !text.includes('.')),
  })
  .map(({ names, platforms, args, tags, needs, registry, chain, emulated, org }) => ({
    version: 1,
    family: 'generated',
    platforms,
    chain,
    ...(registry ? { registry } : {}),
    vars: { org },
    images: Object.fromEntries(
      names.map((image, place) => [
        image,
        {
          repository: `\${org}/${image}`,
          source: 'https://git.example.com/${org}/x.git#main',
          args,
          ...(place > 0 ? { needs: [names[(needs[place] ?? 0) % place] ?? ''] } : {}),
          ...(emulated && place % 2 === 1 ? { mode: 'emulated' } : {}),
        },
      ]),
    ),
    workflows: {
      main: { on: { branch: 'main' }, tags },
      release: { on: { tag: 'v*' }, tags: ['${gitTag}', 'latest'] },
    },
  }));

test('emitting and reading back gives the same pipeline, for any family', async () => {
  await fc.assert(
    fc.asyncProperty(families, async (config) => {
      const generated = await emit(config);
      expectSame(generated);
      expect(checkCircleci(generated.files['.circleci/config.yml'] ?? '', 'config.yml')).toEqual([]);
      // The same config gives the same text.
      expect((await emit(config)).files).toEqual(generated.files);
    }),
    { numRuns: 60 },
  );
}, 60_000);

const small = {
  version: 1,
  exports: [{ image: 'app', file: 'app-${tag}${archSuffix}.tar.gz' }],
  family: 'small',
  platforms: ['linux/amd64', 'linux/arm64'],
  registry: 'localhost:5000',
  images: {
    base: { repository: 'x/base', source: 'https://git.example.com/base.git' },
    app: {
      repository: 'x/y',
      source: 'https://git.example.com/app.git',
      needs: ['base'],
      args: { MESSAGE: 'two words: "quoted"' },
    },
  },
  workflows: { develop: { on: { branch: 'develop' }, tags: ['v1.0'] } },
};

test('a config without workflows is one, on every push', async () => {
  const { workflows: _, ...config } = small;
  const generated = await emit({ ...config, tags: ['edge'] });
  expect(generated.pipeline.workflows.map(({ name, on }) => [name, on])).toEqual([['build', {}]]);
  expectSame(generated);
});

test('with --steps splitbuild each job calls splitbuild for its image and platform', async () => {
  const [workflow] = expanded(await emit(small, { steps: 'splitbuild' }));
  const app = workflow?.jobs.find(({ job }) => job.name === 'build-app-arm64')?.job;
  expect(app?.steps.map(({ kind }) => kind)).toEqual(['remote-docker', 'checkout', 'run', 'run']);
  expect(app?.steps.at(-1)).toMatchObject({
    command: expect.stringContaining('splitbuild build "$NAME"'),
    environment: { NAME: 'app', PLATFORM: 'linux/arm64', WORKFLOW: 'develop', CONFIG: 'splitbuild.yaml' },
  });
});

test.each([
  [
    'a requires that names no job',
    (text: string) => text.replace('requires: [build-base-amd64]', 'requires: [build-bas-amd64]'),
    'unknown-requires',
  ],
  [
    'a job that is defined nowhere',
    (text: string) => text.replace(/^( {2})build-app-arm64:$/m, '$1build-app-arm65:'),
    'unknown-job',
  ],
  [
    'a circle',
    (text: string) => text.replace(/(build-base-amd64: \{)( filters)/, '$1 requires: [build-app-amd64],$2'),
    'cycle',
  ],
  [
    'an export that nothing builds',
    (text: string) => text.replace('linux/arm64 -arm64 {tag}', 'linux/arm64 -arm65 {tag}'),
    'unbuilt',
  ],
  [
    'an arch that its manifest job leaves out',
    (text: string) => text.replace('arches: "-amd64 -arm64"', 'arches: "-amd64"'),
    'unpublished',
  ],
])('check finds %s', async (_what, breakIt, code) => {
  const text = (await emit(small)).files['.circleci/config.yml'] ?? '';
  const broken = breakIt(text);
  expect(broken).not.toBe(text);
  const [found] = checkCircleci(broken, 'config.yml');
  expect(found?.code).toBe(code);
  expect(found?.location?.line).toBeGreaterThan(1);
});

test.each([
  ['v6.*', '/^v6\\..*$/'],
  ['v*', '/^v.*$/'],
  ['v1.0', '/^v1\\.0$/'],
  ['release', 'release'],
  ['/^v6.*/', '/^v6.*/'],
])('the tag pattern %s is %s', (glob, pattern) => {
  expect(globPattern(glob)).toBe(pattern);
});
