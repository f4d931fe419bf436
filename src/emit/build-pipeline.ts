// From a config's workflows to a pipeline: the plan's tasks become jobs, named and ordered, with the scripts that carry them out.
import type { Config, ImageConfig } from '../config/config.ts';
import { speaksPlainHttp } from '../config/registries.ts';
import { ok, type Result } from '../failure.ts';
import type { Family } from '../family/family.ts';
import { archTag } from '../family/family.ts';
import { archSuffix, formatPlatform, type Platform, samePlatform } from '../image/platform.ts';
import { makePlan } from '../plan/make-plan.ts';
import type { Task } from '../plan/plan.ts';
import { relativePath } from '../relative-path.ts';
import type { Job, PipelineWorkflow, ScriptStep, Step } from './pipeline.ts';
import { assetJobs, exportJobs } from './release-jobs.ts';
import { placeholders, registryOf, type StepKind, scriptStep, tagParams } from './steps.ts';

export interface PipelineInput {
  workflow: string;
  /** Whether the config has it under that name: a config without workflows is one. */
  named: boolean;
  on: PipelineWorkflow['on'];
  /** Read for this workflow, with what git says left for later. */
  config: Config;
  /** With sources as they are written: nothing is fetched. */
  family: Family;
  /** Absolute path of the repository that the pipeline lies in. */
  root: string;
  /** Path of the config from there. */
  file: string;
  /** Variables of the command line. */
  set: Record<string, string>;
  steps: 'docker' | 'splitbuild';
}

/** What is built as one: an image by its Dockerfile, several by a script, or one that is copied. */
interface Unit {
  name: string;
  job: string;
  images: ImageConfig[];
  kind: 'image' | 'group' | 'mirror';
  emulated: boolean;
  platforms: Platform[];
  /** Names of the units it is built on. */
  upstreams: string[];
  /** Names of the images it is built on. */
  upstreamImages: ImageConfig[];
  params: Record<string, string>;
}

interface JobInput extends PipelineInput {
  /** The first step of all jobs that run a script. */
  login: ScriptStep;
}

/** One workflow's jobs. */
export function buildWorkflow(input: PipelineInput): Result<PipelineWorkflow> {
  const { config, family, workflow, on } = input;
  // The same plan that the executor runs decides what there is to do, and what waits for what.
  const plan = makePlan(config, family, { images: [], platforms: [] });
  if (!plan.ok) return plan;
  const units = unitsOf(config, family);
  const unitsByName = new Map(units.map((unit) => [unit.name, unit]));
  const login = scriptStep('login', 'Log in', { REGISTRY: registryOf(config) });
  const jobs = units.flatMap((unit) => jobsOf(unit, unitsByName, { ...input, login }));
  const unitOf = new Map(units.flatMap((unit) => unit.images.map((image): [string, Unit] => [image.name, unit])));
  const byName = new Map(jobs.map((job) => [job.name, job]));
  for (const task of plan.value.tasks) {
    const unit = unitOf.get(task.image);
    if (unit) byName.get(jobOfTask(task, unit))?.tasks.push(task.id);
  }
  return ok({
    name: workflow,
    on,
    jobs: [...jobs, ...exportJobs(jobs, input.config), ...assetJobs(input.config, workflow)],
  });
}

/** Name of the job that carries a task out. */
function jobOfTask(task: Task, unit: Unit): string {
  if (unit.emulated || unit.kind === 'mirror') return jobName(unit);
  return jobName(unit, task.kind === 'publish' ? 'manifest' : archSuffix(task.platform));
}

export function unitsOf(config: Config, family: Family): Unit[] {
  const byName = new Map(config.images.map((image) => [image.name, image]));
  const read = new Map(family.images.map((image) => [image.name, image]));
  const groupOf = new Map(
    Object.entries(config.groups).flatMap(([name, { images }]) =>
      images.map((image): [string, string] => [image, name]),
    ),
  );
  const unitOf = (image: string): string => groupOf.get(image) ?? image;
  const upstreamsOf = (image: ImageConfig): string[] => [
    ...new Set([...image.needs, ...(read.get(image.name)?.upstreams ?? [])]),
  ];
  const units = new Map<string, Unit>();
  for (const image of config.images) {
    const name = unitOf(image.name);
    const known = units.get(name);
    const outside = upstreamsOf(image).filter((upstream) => unitOf(upstream) !== name);
    if (known) {
      known.images.push(image);
      known.upstreams = [...new Set([...known.upstreams, ...outside.map(unitOf)])];
      known.upstreamImages = [
        ...new Set([...known.upstreamImages, ...outside.flatMap((one) => byName.get(one) ?? [])]),
      ];
      continue;
    }
    const group = config.groups[name];
    const isGroup = groupOf.has(image.name) && group !== undefined;
    units.set(name, {
      name,
      job: (isGroup ? group.job : image.job) ?? name,
      images: [image],
      kind: isGroup ? 'group' : image.mirror ? 'mirror' : 'image',
      emulated: !image.mirror && image.mode === 'emulated',
      platforms: image.platforms,
      upstreams: [...new Set(outside.map(unitOf))],
      upstreamImages: outside.flatMap((one) => byName.get(one) ?? []),
      params: { ...(isGroup ? group.vars : image.mirror ? {} : image.vars), ...tagParams(image.tags ?? config.tags) },
    });
  }
  return inOrder([...units.values()]);
}

/** Each after what it is built on; else as in the file. */
function inOrder(units: Unit[]): Unit[] {
  const byName = new Map(units.map((unit) => [unit.name, unit]));
  const ordered = new Set<Unit>();
  const visit = (unit: Unit): void => {
    if (ordered.has(unit)) return;
    for (const name of unit.upstreams) {
      const upstream = byName.get(name);
      if (upstream && upstream !== unit) visit(upstream);
    }
    ordered.add(unit);
  };
  for (const unit of units) visit(unit);
  return [...ordered];
}

function jobName({ job }: Pick<Unit, 'job'>, part?: string): string {
  return part === undefined ? `build-${job}` : `build-${job}-${part}`;
}

/** What a job of a platform waits for: the same platform of what it is built on, or (chain: manifest) the joined images. */
function needsOf(unit: Unit, units: Map<string, Unit>, { config }: PipelineInput, platforms: Platform[]): string[] {
  const needs = unit.upstreams.flatMap((name): string[] => {
    const upstream = units.get(name);
    if (!upstream) return [];
    if (upstream.emulated || upstream.kind === 'mirror') return [jobName(upstream)];
    if (config.chain === 'manifest') return [jobName(upstream, 'manifest')];
    return platforms
      .filter((platform) => upstream.platforms.some((one) => samePlatform(one, platform)))
      .map((platform) => jobName(upstream, archSuffix(platform)));
  });
  return [...new Set(needs)];
}

function jobsOf(unit: Unit, units: Map<string, Unit>, input: JobInput): Job[] {
  const title = unit.images.map(({ name }) => name).join(' and ');
  const common = { params: unit.params, secrets: secretsOf(unit) };
  if (unit.kind === 'mirror') {
    const steps = [step('mirror', unit, input)];
    return [
      {
        ...common,
        tasks: [],
        name: jobName(unit),
        title: `${title}, mirrored`,
        kind: 'mirror',
        large: false,
        needs: [],
        steps: prepared(unit, input, steps),
      },
    ];
  }
  if (unit.emulated) {
    const needs = needsOf(unit, units, input, unit.platforms);
    const kind = unit.kind === 'group' ? 'emulated-group' : 'emulated';
    const steps = prepared(unit, input, [step(kind, unit, input), ...exportSteps(unit, input)]);
    return [
      {
        ...common,
        tasks: [],
        name: jobName(unit),
        title: `${title} for all platforms, emulated`,
        kind: 'emulated',
        large: true,
        needs,
        steps,
      },
    ];
  }
  const builds = unit.platforms.map(
    (platform): Job => ({
      ...common,
      tasks: [],
      name: jobName(unit, archSuffix(platform)),
      title: `${title} for ${formatPlatform(platform)}`,
      kind: 'build',
      platform,
      large: false,
      needs: needsOf(unit, units, input, [platform]),
      steps: prepared(unit, input, [step(unit.kind === 'group' ? 'group' : 'build', unit, input, platform)]),
    }),
  );
  const steps: Step[] = [step('publish', unit, input), ...exportSteps(unit, input)];
  return [
    ...builds,
    {
      ...common,
      tasks: [],
      secrets: [],
      name: jobName(unit, 'manifest'),
      title: `${title} joined and published`,
      kind: 'publish',
      large: false,
      needs: builds.map(({ name }) => name),
      steps: prepared(unit, input, steps, false),
    },
  ];
}

function exportSteps(unit: Unit, input: PipelineInput): Step[] {
  const exported = input.config.exports.some(({ image }) => unit.images.some(({ name }) => name === image));
  return exported ? [step('export', unit, input), { kind: 'persist', folder: 'images' }] : [];
}

function secretsOf(unit: Unit): string[] {
  return [...new Set(unit.images.flatMap(({ secrets }) => secrets))];
}

/** A checkout where the files are in the pipeline's own repository, a login, and then the steps. */
function prepared(unit: Unit, input: JobInput, steps: Step[], files = true): Step[] {
  const [image] = unit.images;
  const source = unit.kind === 'group' ? input.config.groups[unit.name]?.source : image?.source;
  const own = input.steps === 'splitbuild' && unit.kind === 'image';
  const checkout: Step[] =
    own || (files && unit.kind !== 'mirror' && source?.kind === 'folder') ? [{ kind: 'checkout' }] : [];
  return [...checkout, input.login, ...steps];
}

/** A line a test, for the shell; as a template, in which a dollar is `$$`. */
function testsOf({ test }: ImageConfig): string {
  const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
  return test
    .map((command) => (typeof command === 'string' ? ['sh', '-c', command] : command))
    .map((words) => ['check', ...words.map(quoted)].join(' '))
    .join('\n')
    .replaceAll('$', '$$$$');
}

function step(kind: StepKind, unit: Unit, input: PipelineInput, platform?: Platform): ScriptStep {
  if (input.steps === 'splitbuild' && unit.kind === 'image' && kind !== 'export')
    return ownStep(kind, unit, input, platform);
  const { config, root } = input;
  const [image] = unit.images;
  const group = unit.kind === 'group' ? config.groups[unit.name] : undefined;
  const registry = registryOf(config);
  // A mirror has no parameters: its name is as the config expands it.
  const reference = (one: ImageConfig): string => registry + (one.mirror ? one.repository : one.written.repository);
  const suffix = (one: Platform): string => stagedSuffix(config, one);
  const names = unit.images.map(({ name }) => name).join(' and ');
  const place = platform ? ` for ${formatPlatform(platform)}` : '';
  const source = (group ?? image)?.source;
  const written = (group ? group.written.source : image?.written.source) ?? '';
  const [url = '', ref = ''] = source?.kind === 'git' ? splitSource(written) : [];
  const files = (): Record<string, string> => ({
    SOURCE: url,
    REF: ref || 'HEAD',
    FOLDER: source?.kind === 'folder' ? relativePath(root, source.path) || '.' : '',
  });
  const where = (): Record<string, string> =>
    platform
      ? { PLATFORM: formatPlatform(platform), ARCH: suffix(platform) }
      : { PLATFORMS: unit.platforms.map(formatPlatform).join(','), ARCHES: unit.platforms.map(suffix).join(' ') };
  const upstream = () => ({ UPSTREAMS: unit.upstreamImages.map(reference).join(' '), REGISTRY: registry });
  const insecure = () => ({ INSECURE: isPlainHttp(config) ? '--insecure' : '' });
  switch (kind) {
    case 'build':
    case 'emulated':
      return scriptStep(kind, `Build ${names}${place}`, {
        IMAGE: image ? reference(image) : '',
        ...where(),
        ...files(),
        CONTEXT: image?.context ?? '.',
        DOCKERFILE: image?.dockerfile ?? 'Dockerfile',
        TARGET: image?.target ?? '',
        ARGS: Object.entries(image?.written.args ?? {})
          .map(([name, value]) => `${name}=${placeholders(value, config, platform)}`)
          .join('\n'),
        SECRETS: secretsOf(unit).join(' '),
        ...(image && image.test.length > 0 ? { TESTS: testsOf(image) } : {}),
        ...upstream(),
        ...(kind === 'emulated' ? insecure() : {}),
      });
    case 'group':
    case 'emulated-group':
      return scriptStep(kind, `Build ${names}${place}`, {
        IMAGES: unit.images.map(reference).join(' '),
        ...where(),
        ...files(),
        SCRIPT: placeholders(group?.written.script ?? '', config, platform),
        ...upstream(),
        ...(kind === 'emulated-group' ? insecure() : {}),
      });
    case 'publish':
      return scriptStep(kind, `Join and publish ${names}`, {
        IMAGES: unit.images.map(reference).join(' '),
        ARCHES: unit.platforms.map(suffix).join(' '),
        ...insecure(),
      });
    case 'mirror':
      return scriptStep(kind, `Mirror ${image?.mirror}`, {
        IMAGE: image ? reference(image) : '',
        FROM: image?.mirror ?? '',
        PLATFORMS: unit.platforms.map(formatPlatform).join(','),
        ...insecure(),
      });
    case 'export':
      return scriptStep(kind, `Export ${names}`, { EXPORTS: exportLines(unit, config, reference), REGISTRY: registry });
    default:
      throw new Error(`no step ${kind} of a unit`);
  }
}

/** The same by splitbuild itself, which reads the config for the workflow. */
function ownStep(kind: StepKind, unit: Unit, input: PipelineInput, platform?: Platform): ScriptStep {
  const place = platform ? ` for ${formatPlatform(platform)}` : '';
  const common = {
    NAME: unit.name,
    CONFIG: input.file,
    WORKFLOW: input.named ? input.workflow : '',
    SETTINGS: Object.entries(input.set)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n'),
  };
  if (kind === 'publish') return scriptStep('splitbuild-publish', `Join and publish ${unit.name}`, common);
  return scriptStep('splitbuild-build', `Build ${unit.name}${place}`, {
    ...common,
    PLATFORM: platform ? formatPlatform(platform) : '',
  });
}

/** `URL#ref` of a git source, as written. */
function splitSource(written: string): [url: string, ref: string] {
  const at = written.indexOf('#');
  if (at < 0) return [written, ''];
  return [written.slice(0, at), written.slice(at + 1).replace(/:.*$/, '')];
}

function isPlainHttp({ registry, registries }: Config): boolean {
  return registry.kind === 'remote' && speaksPlainHttp(registries, registry.host);
}

/** What a staged tag ends in; it names the platform, even where arch tags do not. */
function stagedSuffix({ archTagSuffix }: Config, platform: Platform): string {
  return archTag('', archTagSuffix.includes('${arch}') ? archTagSuffix : '-${arch}', platform);
}

/** A line an exported platform: image, platform, arch, tag inside, file; the plain platform's file and tag have no suffix. */
function exportLines(unit: Unit, config: Config, reference: (image: ImageConfig) => string): string {
  return config.exports
    .flatMap(({ image: name, file, plain }) => {
      const image = unit.images.find((one) => one.name === name);
      if (!image) return [];
      return image.platforms.map((platform) => {
        const suffix = stagedSuffix(config, platform);
        const isPlain = plain === formatPlatform(platform);
        const saved = `{tag}${isPlain ? '' : suffix}`;
        return [
          reference(image),
          formatPlatform(platform),
          suffix,
          saved,
          fileName(file, config, platform, isPlain),
        ].join(' ');
      });
    })
    .join('\n');
}

function fileName(file: string, config: Config, platform: Platform, isPlain: boolean): string {
  return placeholders(file, config, platform, isPlain);
}
