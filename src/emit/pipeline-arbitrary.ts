// Pipelines for property tests: any small graph of jobs, names and texts that a syntax may stumble over, more than ten platforms.
import fc from 'fast-check';
import { archSuffix, formatPlatform, type Platform, parsePlatform } from '../image/platform.ts';
import type { Job, Pipeline, ScriptStep } from './pipeline.ts';
import { shellWord } from './steps.ts';

export const platforms: Platform[] = [
  ...['amd64', 'arm64', '386', 'arm/v5', 'arm/v6', 'arm/v7', 'ppc64le', 's390x', 'riscv64', 'mips64le', 'loong64'],
].flatMap((architecture) => {
  const platform = parsePlatform(`linux/${architecture}`);
  return platform.ok ? [platform.value] : [];
});

/** A machine for each of them. */
export const machines: Record<string, string[]> = Object.fromEntries(
  platforms.map((platform) => [formatPlatform(platform), ['self-hosted', `${archSuffix(platform)}.v1`]]),
);

const oddNames = [
  ...[
    'image',
    'pages',
    '.hidden',
    'a b',
    'a:w',
    'a:w-2',
    'ünï',
    '1st',
    'on',
    'true',
    'null',
    '~',
    'constructor',
    'A',
    'a',
  ],
  ...[
    '__proto__',
    'x/y',
    '---',
    '[a]',
    "it's",
    '{x}',
    '#c',
    '&a',
    '*b',
    '!t',
    '%d',
    '@e',
    '`f`',
    'a: b',
    'a #b',
    ' lead',
  ],
  ...[
    'é'.repeat(300),
    '"',
    '${{ x }}',
    '$X',
    'docker',
    'on-w',
    'script-build',
    '08:15',
    '1_000',
    '?',
    '|',
    '>',
    'a,b',
    '\\',
  ],
];
const name = fc.oneof(
  fc.constantFrom(...oddNames),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  fc.stringMatching(/^[a-z]{1,3}(-[a-z0-9]{1,3})?$/),
);
const odd = [
  '${{ secrets.X }}',
  '${gitTag}',
  '${branch}',
  '${commit}',
  '$X',
  '$$',
  '%X%',
  'localhost:5000/x:y',
  '0755',
  '1e3',
];
const text = fc
  .array(
    fc.oneof(fc.constantFrom(...odd, ' ', '\n', '\t', '"', "'", ': ', '# ', '- '), fc.string({ unit: 'grapheme' })),
    {
      maxLength: 4,
    },
  )
  .map((parts) => parts.join(''));
const script = fc.oneof(
  text.map((line) => `echo ${line}`),
  text.map((line) => `set -eu\n  cat << E\n${line}\nE`),
);
const params = fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/), text, { maxKeys: 4, noNullPrototype: true });

const bodies = { build: 'set -eu\ndocker build "$IMAGE"', login: 'set -eu\necho "$REGISTRY"' };

function step(uses: keyof typeof bodies, title: string, settings: Record<string, string>): ScriptStep {
  const lines = Object.entries(settings).map(([variable, value]) => `${variable}=${shellWord(value)}`);
  const body = bodies[uses];
  return { kind: 'script', name: title, script: [...lines, body].join('\n'), parts: { uses, body, settings } };
}

/** An image's builds, which wait for the same platform of an earlier image or for all of it, and the job that joins them. */
const image = fc.record({
  image: name,
  upstream: fc.nat(),
  chain: fc.constantFrom('platform' as const, 'manifest' as const, 'none' as const),
  built: fc.subarray(platforms, { minLength: 1 }),
  params,
  value: text,
  secrets: fc.subarray(['git_oauth_token', 'TOKEN']),
});

/** Any job. */
const job = fc.record({
  name,
  needs: fc.array(fc.nat(), { maxLength: 4 }),
  params,
  kind: fc.constantFrom('publish' as const, 'mirror' as const, 'emulated' as const, 'save' as const, 'deploy' as const),
  scripts: fc.array(script, { minLength: 1, maxLength: 3 }),
  checkout: fc.boolean(),
});

function jobsOf(images: (typeof image extends fc.Arbitrary<infer T> ? T : never)[]): Job[] {
  const jobs: Job[] = [];
  const builds: Job[][] = [];
  for (const { image, upstream, chain, built, params, value, secrets } of images) {
    const before = builds[upstream % Math.max(builds.length, 1)] ?? [];
    const own = built.map((platform): Job => {
      const needs =
        chain === 'none' ? [] : chain === 'manifest' ? before : before.filter((one) => one.platform === platform);
      const at = formatPlatform(platform);
      const settings = { IMAGE: value, PLATFORM: at, ARCH: `-${archSuffix(platform)}` };
      return {
        ...{
          name: `${image}-${archSuffix(platform)}`,
          title: `${image} for ${at}`,
          kind: 'build',
          platform,
          params,
          secrets,
        },
        ...{ large: false, needs: needs.map((one) => one.name), tasks: [] },
        steps: [
          step('login', 'Log in', { REGISTRY: 'localhost:5000/' }),
          step('build', `Build ${image} for ${at}`, settings),
        ],
      };
    });
    builds.push(own);
    jobs.push(...own);
  }
  return jobs;
}

export const pipelines: fc.Arbitrary<Pipeline> = fc
  .record({
    images: fc.array(image, { maxLength: 3 }),
    others: fc.array(job, { minLength: 1, maxLength: 5 }),
    workflows: fc.uniqueArray(
      fc.record({ name, keep: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }), changed: params }),
      { minLength: 1, maxLength: 3, selector: (workflow) => workflow.name },
    ),
  })
  .map(({ images, others, workflows }) => {
    const jobs = new Map<string, Job>();
    for (const one of jobsOf(images)) if (!jobs.has(one.name)) jobs.set(one.name, one);
    for (const { name, needs, params, kind, scripts, checkout } of others) {
      if (jobs.has(name)) continue;
      const before = [...jobs.keys()];
      const needed = before.length > 0 ? needs.map((index) => before[index % before.length] ?? name) : [];
      jobs.set(name, {
        ...{ name, title: `${name} & co`, kind, large: kind === 'emulated', params, secrets: [], tasks: [] },
        needs: [...new Set(needed)],
        steps: [
          ...(checkout ? [{ kind: 'checkout' as const }] : []),
          ...scripts.map((script, index) => ({ kind: 'script' as const, name: `step ${index}`, script })),
        ],
      });
    }
    const on = [{ branch: 'main' }, { tag: 'v6.*' }, {}];
    return {
      family: 'f',
      workflows: workflows.map(({ name: workflow, keep, changed }, index) => {
        const kept = [...jobs.values()].filter((_job, at) => keep[at % keep.length]);
        const names = new Set(kept.map((one) => one.name));
        return {
          name: workflow,
          on: on[index] ?? {},
          jobs: kept.map((one) => ({
            ...one,
            needs: one.needs.filter((need) => names.has(need)),
            params: { ...one.params, ...changed },
          })),
        };
      }),
    };
  });
