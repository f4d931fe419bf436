// HySDS's pipeline from examples/hysds, compared job by job with the facts of the one that was written by hand (testdata/hysds). What is
// different on purpose is in docs/hysds.md; here it is what `facts` below turns into the other's words, each with its line.
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { checkCircleci } from './check.ts';
import { chainOf, type GenerateOptions, generate } from './generate.ts';

const file = 'examples/hysds/splitbuild.yaml';
const text = readFileSync(file, 'utf8');

const factsSchema = z.object({
  jobs: z.record(
    z.string(),
    z.looseObject({
      executor: z.string(),
      resourceClass: z.string(),
      parameters: z.record(z.string(), z.string().nullable()),
      clones: z.array(z.string()).default([]),
      buildArgs: z.array(z.string()).default([]),
      script: z.array(z.string()).default([]),
      pulls: z.array(z.string()).default([]),
      pushes: z.array(z.string()).default([]),
      manifests: z.array(z.string()).default([]),
      copies: z.array(z.string()).default([]),
      saves: z.array(z.string()).default([]),
      buildx: z.array(z.string()).default([]),
      uploads: z.array(z.string()).default([]),
    }),
  ),
  workflows: z.record(
    z.string(),
    z.looseObject({
      jobs: z.array(
        z.object({
          name: z.string(),
          requires: z.array(z.string()),
          filters: z.unknown().optional(),
          context: z.array(z.string()).default([]),
          params: z.record(z.string(), z.string()),
        }),
      ),
    }),
  ),
});
const facts = factsSchema.parse(
  JSON.parse(readFileSync(new URL('./testdata/hysds/pipeline.json', import.meta.url), 'utf8')),
);

const stepSchema = z.union([z.string(), z.record(z.string(), z.record(z.string(), z.unknown()))]);
const entrySchema = z.looseObject({
  requires: z.array(z.string()).default([]),
  filters: z.unknown().optional(),
  context: z.array(z.string()).default([]),
});
const emittedSchema = z.looseObject({
  jobs: z.record(
    z.string(),
    z.looseObject({
      docker: z.array(z.looseObject({ image: z.string() })),
      resource_class: z.string().default('default'),
      parameters: z.record(z.string(), z.object({ default: z.string().nullable().default(null) })).default({}),
      steps: z.array(z.unknown()),
    }),
  ),
  workflows: z.record(
    z.string(),
    z.looseObject({
      jobs: z.array(z.union([z.string(), z.record(z.string(), entrySchema)])),
      triggers: z.unknown().optional(),
    }),
  ),
});
type Emitted = z.infer<typeof emittedSchema>;
type Fact = z.infer<typeof factsSchema>['jobs'][string];

const options: GenerateOptions = {
  provider: 'circleci',
  file,
  text,
  env: {},
  set: {},
  root: process.cwd(),
  steps: 'docker',
  header: [],
  now: new Date(0),
  signal: new AbortController().signal,
};

async function emit(
  changes: Partial<GenerateOptions> = {},
): Promise<{ emitted: Emitted; chains: Record<string, number> }> {
  const generated = await generate({ ...options, ...changes });
  if (!generated.ok) throw new Error(JSON.stringify(generated.failure));
  const [circleci = ''] = Object.values(generated.value.files);
  const chains = generated.value.pipeline.workflows.map((workflow) => [workflow.name, chainOf(workflow).length]);
  return { emitted: emittedSchema.parse(parse(circleci, { maxAliasCount: -1 })), chains: Object.fromEntries(chains) };
}

/** The settings of a job's step, with parameters in the facts' words. */
function settings(job: Emitted['jobs'][string], step: string): Record<string, string> {
  for (const candidate of job.steps) {
    const parsed = stepSchema.safeParse(candidate);
    const found = parsed.success && typeof parsed.data === 'object' ? parsed.data[step] : undefined;
    if (found)
      return Object.fromEntries(Object.entries(found).map(([name, value]) => [name, inFactsWords(String(value))]));
  }
  return {};
}

/** Theirs names Docker Hub's organisation in most places, ours everywhere by its parameter. */
function inFactsWords(text: string): string {
  return text
    .replace(/<<\s*parameters\.(\w+)\s*>>/g, '{$1}')
    .replace(/\{org\}\//g, 'hysds/')
    .replaceAll('{tag}', '{final_tag}');
}

function lines(text = ''): string[] {
  return text.split('\n').filter(Boolean);
}

function split(text = ''): string[] {
  return text.split(' ').filter(Boolean);
}

const tags = ['{build_tag}', '{final_tag}'];

/** What a job of ours does, as facts. */
function factsOf(name: string, jobs: Emitted['jobs']): Partial<Fact> {
  const job = jobs[name];
  if (!job) throw new Error(`no job ${name}`);
  const parameters = Object.fromEntries(
    Object.entries(job.parameters).map(([parameter, { default: preset }]) => [parameter, preset]),
  );
  const common = { executor: job.docker[0]?.image ?? '', resourceClass: job.resource_class, parameters };
  const build = { ...settings(job, 'build'), ...settings(job, 'group') };
  const images = build.image ? [build.image] : split(build.images);
  const publish = settings(job, 'publish');
  const emulated = settings(job, 'emulated');
  const mirror = settings(job, 'mirror');
  const source = emulated.source ? emulated : build;
  const exported = lines(settings(job, 'export').exports);
  return {
    ...common,
    // The organisation is a parameter in both.
    clones: source.source ? [`${source.ref} ${source.source.replace('github.com/hysds/', 'github.com/{org}/')}`] : [],
    buildArgs: lines(emulated.args ?? build.args),
    script: lines(build.script).map((script) => script),
    // Ours takes what this run made, under the run's own tag; theirs what the tag happens to be.
    pulls: split(build.upstreams).map((image) => `${image}:{final_tag}${build.arch}`),
    // Ours pushes under the run's own tag, and its manifest job makes the arch tags with the rest.
    pushes: images.flatMap((image) => tags.map((tag) => `${image}:${tag}${build.arch}`)),
    manifests: split(publish.images).flatMap((image) => tags.map((tag) => `${image}:${tag}`)),
    copies: mirror.from ? tags.map((tag) => `${mirror.image}:${tag} ${mirror.from}`) : [],
    buildx: emulated.platforms ? [emulated.platforms] : [],
    saves: exported.flatMap((line) => {
      const [image, , , saved = '', name = ''] = line.split(' ');
      const inside = (tag: string): string => saved.replace('{final_tag}', tag);
      return tags.map((tag) => `${image}:${inside(tag)} ${name.replace('{final_tag}', tag).replace('.gz', '')}`);
    }),
  };
}

/** The facts' side of each difference. */
function expected(name: string): Partial<Fact> {
  const fact = facts.jobs[name];
  if (!fact) throw new Error(`no facts of ${name}`);
  const isBuild = /-(amd64|arm64)$/.test(name);
  const isManifest = name.endsWith('-manifest');
  const isComponent = /_(mozart|metrics|grq|cont_int)-/.test(name);
  const both = (text: string): string[] => [text.replace('{final_tag}', '{build_tag}'), text];
  return {
    executor: fact.executor,
    // An emulated job is large: theirs was for redis, and not for rabbitmq.
    resourceClass: name === 'build-rabbitmq' ? 'large' : fact.resourceClass,
    parameters: fact.parameters,
    clones: fact.clones,
    // rabbitmq takes no build argument; ours come from the defaults, and an ARG that isn't there is passed over.
    buildArgs: name === 'build-rabbitmq' ? ['ORG={org}', 'BRANCH={branch}'] : fact.buildArgs,
    script: fact.script,
    pulls: isBuild ? fact.pulls : [],
    // Components lost their release tag: theirs pushed the final tag alone.
    pushes: isComponent ? fact.pushes.flatMap(both) : fact.pushes,
    manifests: isManifest && isComponent ? fact.manifests.flatMap(both) : fact.manifests,
    copies: fact.copies,
    buildx: fact.buildx.filter((platforms) => platforms.includes(',')),
    saves: fact.saves,
  };
}

const sorted = (fact: Partial<Fact>): object =>
  Object.fromEntries(
    Object.entries(fact).map(([key, value]) => [key, Array.isArray(value) ? [...value].sort() : value]),
  );

const everything = await emit({ chain: 'manifest', text: text.replace(/^ {4}disable:.*\n/m, '') });
const classic = await emit({ chain: 'manifest' });

test.each(Object.keys(facts.jobs).filter((name) => name.startsWith('build-')))(
  '%s does what the hand-written one does',
  (name) => {
    const withOrder = (fact: Partial<Fact>): object => {
      const { buildArgs = [], ...rest } = fact;
      // Ours has the defaults' arguments first.
      return { ...sorted(rest), buildArgs: [...buildArgs].map((arg) => arg.replace('ORG=hysds', 'ORG={org}')).sort() };
    };
    expect(withOrder(factsOf(name, everything.emitted.jobs))).toEqual(withOrder(expected(name)));
  },
);

/** A workflow's jobs as facts; requires are compared as sets. */
function workflowFacts(emitted: Emitted, workflow: string): object[] {
  return (emitted.workflows[workflow]?.jobs ?? [])
    .flatMap((entry) => (typeof entry === 'string' ? [] : Object.entries(entry)))
    .map(([name, { requires, filters, context, ...params }]) => ({
      name,
      requires: [...requires].sort(),
      filters,
      context,
      params: paramsOf(emitted, name, params),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Effective values: those given, and the defaults. */
function paramsOf(emitted: Emitted, name: string, given: object): Record<string, string> {
  const defaults = Object.entries(emitted.jobs[name]?.parameters ?? {}).map(([parameter, { default: preset }]) => [
    parameter,
    preset ?? '',
  ]);
  return Object.fromEntries(
    Object.entries({ ...Object.fromEntries(defaults), ...given }).map(([key, value]) => [key, String(value)]),
  );
}

function expectedWorkflow(workflow: string): object[] {
  return (facts.workflows[workflow]?.jobs ?? [])
    .map(({ name, requires, filters, context, params }) => {
      const defaults = Object.fromEntries(
        Object.entries(facts.jobs[name]?.parameters ?? {}).map(([key, value]) => [key, value ?? '']),
      );
      const { repo: _repo, org, ...rest } = { ...defaults, ...params };
      const isUpload = name.startsWith('deploy');
      return {
        name,
        requires: [...requires].sort(),
        // Ours takes v6.* and not v60.
        filters: JSON.parse(JSON.stringify(filters ?? null).replace('/^v6.*/', '/^v6\\\\..*$/')),
        context,
        // Uploads go to the repository that the config names; theirs to the one that the pipeline is of.
        params: {
          ...(isUpload || org === undefined ? {} : { org }),
          ...pipelineWords(isUpload ? { build_tag: rest.build_tag ?? '', final_tag: rest.final_tag ?? '' } : rest),
        },
      };
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** `$CIRCLE_TAG` by CircleCI's pipeline value, which also works where no shell reads it. */
function pipelineWords(params: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).map(([key, value]) => [key, value.replace('$CIRCLE_TAG', '<< pipeline.git.tag >>')]),
  );
}

test('the develop workflow, in the classic chain, has their jobs, requires, filters, contexts and parameters', () => {
  expect(workflowFacts(classic.emitted, 'build-deploy-develop')).toEqual(expectedWorkflow('build-deploy-develop'));
});

test('the release workflow has theirs as well, and the component images besides', () => {
  const components = /_(mozart|metrics|grq|cont_int)-/;
  const ours = workflowFacts(classic.emitted, 'build-deploy-release');
  const uploads = (entry: object): boolean => 'name' in entry && entry.name === 'deploy-support-assets';
  const known = ours.filter((entry) => 'name' in entry && !components.test(String(entry.name)));
  expect(known.filter((entry) => !uploads(entry))).toEqual(
    expectedWorkflow('build-deploy-release').filter((entry) => !uploads(entry)),
  );
  expect(ours.length - known.length).toBe(4 * 3);
});

test('the component images are off in develop by one line, and on without it', () => {
  expect(classic.emitted.workflows['build-deploy-develop']?.jobs).toHaveLength(22);
  expect(everything.emitted.workflows['build-deploy-develop']?.jobs).toHaveLength(22 + 4 * 3);
});

test('the longest chain is theirs with chain: manifest, 8 jobs, and 5 with chain: arch', async () => {
  expect(classic.chains['build-deploy-develop']).toBe(8);
  expect((await emit({ chain: 'arch' })).chains['build-deploy-develop']).toBe(5);
});

test('the weekly workflow runs the tests by cron on develop', () => {
  expect(classic.emitted.workflows.weekly?.triggers).toEqual(facts.workflows.weekly?.triggers);
  expect(classic.emitted.jobs.test?.docker[0]?.image).toBe(facts.jobs.test?.executor);
});

test('support assets have the platforms that their images have, and their names', () => {
  for (const arch of ['amd64', 'arm64']) {
    const name = `export-support-assets-${arch}`;
    const saves = lines(
      settings(everything.emitted.jobs[name] ?? { docker: [], resource_class: '', parameters: {}, steps: [] }, 'save')
        .saves,
    );
    const fact = facts.jobs[name];
    expect(saves.map((line) => line.split(' ')[0]).sort()).toEqual(
      fact?.pulls.map((pull) => pull.split(' ').at(-1)).sort(),
    );
    expect(saves.map((line) => line.split(' ').slice(1).join(' ').replace('.gz', '')).sort()).toEqual(
      [...(fact?.saves ?? [])].sort(),
    );
  }
});

test('with mode: emulated every image is one large job without suffixes, and taking it away gives the split back', async () => {
  const { emitted } = await emit({ mode: 'emulated' });
  expect(emitted.jobs['build-hysds_base']).toMatchObject({ resource_class: 'large' });
  expect(Object.keys(emitted.jobs).filter((name) => /hysds_(base|dev|cuda_base)-/.test(name))).toEqual([]);
  expect(everything.emitted.jobs).toHaveProperty('build-hysds_base-arm64');
});

test.each(['arch', 'manifest'] as const)(
  'it fits CircleCI’s schema, and the check finds nothing, with chain: %s',
  async (chain) => {
    const generated = await generate({ ...options, chain });
    if (!generated.ok) throw new Error(JSON.stringify(generated.failure));
    const [circleci = ''] = Object.values(generated.value.files);
    const schema = readFileSync(new URL('../../test/schemas/circleci.json', import.meta.url), 'utf8');
    const fits = new Ajv({ strict: false, validateFormats: false }).compile(JSON.parse(schema));
    fits(parse(circleci, { maxAliasCount: -1 }));
    expect(fits.errors).toBeNull();
    expect(checkCircleci(circleci, 'config.yml')).toEqual([]);
  },
);

test('the config has at most 150 lines', () => {
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(150);
});
