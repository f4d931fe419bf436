// From a family to the tasks that make it. Pure.
import type { Config } from '../config/config.ts';
import { fail, ok, type Result } from '../failure.ts';
import { archTag, type Family, type FamilyImage, type PlatformBuild, registryPath } from '../family/family.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { BuildTask, Plan, Task, TestTask } from './plan.ts';

export interface Selection {
  /** Only these images and what they need; all when empty. */
  images: string[];
  /** Only these platforms; all when empty. */
  platforms: Platform[];
}

export function buildId(image: string, platform: string): string {
  return `build ${image} ${platform}`;
}

/** Tasks in an order in which each comes after what it needs. */
export function makePlan(config: Config, family: Family, selection: Selection): Result<Plan> {
  const byName = new Map(family.images.map((image) => [image.name, image]));
  const unknown = selection.images.find((name) => !byName.has(name));
  if (unknown !== undefined) {
    return fail({
      kind: 'usage',
      message: `no image '${unknown}' in the family`,
      help: `it has: ${[...byName.keys()].join(', ')}`,
    });
  }
  const wanted = withUpstreams(selection.images.length > 0 ? selection.images : [...byName.keys()], byName);
  // Of all platforms, everything is: there is nothing to choose.
  const chosen = selection.platforms.length > 0 ? chosenBuilds(family, wanted, selection.platforms) : undefined;
  const tasks: Task[] = [];
  // Each id is one text, however often it is named: maps of tasks, of which a run makes several, find it without comparing it.
  const ids = new Map<string, string>();
  const idOf = (image: string, platform: string): string => {
    const id = buildId(image, platform);
    return ids.get(id) ?? id;
  };
  for (const image of family.images) {
    if (!wanted.has(image.name)) continue;
    const isChosen = ({ platform }: PlatformBuild): boolean =>
      chosen?.has(buildId(image.name, formatPlatform(platform))) ?? true;
    const builds = image.builds.filter(isChosen);
    if (builds.length === 0) continue;
    const buildTasks = builds.map((build): BuildTask => {
      const platform = formatPlatform(build.platform);
      const upstreams = build.upstreams.map((upstream) => ({
        task: idOf(upstream.image, upstream.platform),
        reference: upstream.reference,
        range: upstream.range,
      }));
      const chained =
        config.chain === 'manifest'
          ? image.upstreams.map((name) => `publish ${name}`)
          : image.config.needs.map((name) => idOf(name, platform)).filter((id) => ids.has(id));
      return {
        kind: 'build',
        id: buildId(image.name, platform),
        image: image.name,
        platform: build.platform,
        mode: image.config.mode,
        repository: registryPath(config, image.config.repository),
        context: image.context,
        dockerfile: image.dockerfile,
        ...(image.config.target ? { target: image.config.target } : {}),
        args: build.args,
        secrets: image.config.secrets,
        upstreams,
        ...(build.externals.length > 0 ? { externals: build.externals } : {}),
        needs: [...new Set([...upstreams.map((upstream) => upstream.task), ...chained])],
        ...(image.commit ? { commit: image.commit } : {}),
      };
    });
    const tags = image.config.tags ?? config.tags;
    for (const { id } of buildTasks) ids.set(id, id);
    const { test } = image.config;
    const tests = test.length === 0 ? [] : buildTasks.map((task) => testOf(task, test));
    tasks.push(...buildTasks, ...tests, {
      kind: 'publish',
      id: `publish ${image.name}`,
      image: image.name,
      repository: registryPath(config, image.config.repository),
      builds: buildTasks.map((task) => ({
        task: task.id,
        platform: task.platform,
        archTags: tags.map((tag) => archTag(tag, config.archTagSuffix, task.platform)),
      })),
      tags,
      audit: image.config.audit,
      needs: [...buildTasks, ...tests].map((task) => task.id),
    });
  }
  const { publish, failedPlatform, gates } = config;
  return ok({ version: 1, family: config.family, publish, failedPlatform, gates, tasks });
}

function testOf({ id, image, platform, mode, repository }: BuildTask, commands: TestTask['commands']): TestTask {
  return {
    kind: 'test',
    id: `test ${image} ${formatPlatform(platform)}`,
    image,
    platform,
    mode,
    repository,
    build: id,
    commands,
    needs: [id],
  };
}

/** Ids of the builds of the asked platforms, and of those of other platforms that these take files from. */
function chosenBuilds(family: Family, images: Set<string>, platforms: Platform[]): Set<string> {
  const asked = new Set(platforms.map(formatPlatform));
  const chosen = new Set<string>();
  // Each image comes after what it needs: seen from the end, an image's own need of a platform is known when it is its turn.
  for (const image of [...family.images].reverse()) {
    if (!images.has(image.name)) continue;
    for (const build of image.builds) {
      const platform = formatPlatform(build.platform);
      const id = buildId(image.name, platform);
      if (asked.has(platform)) chosen.add(id);
      if (!chosen.has(id)) continue;
      for (const upstream of build.upstreams) chosen.add(buildId(upstream.image, upstream.platform));
    }
  }
  return chosen;
}

function withUpstreams(names: string[], byName: Map<string, FamilyImage>): Set<string> {
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    for (const upstream of byName.get(name)?.upstreams ?? []) visit(upstream);
  };
  for (const name of names) visit(name);
  return found;
}
