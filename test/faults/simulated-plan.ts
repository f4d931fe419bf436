// The plan of the fault lab's family as a simulated run gets it, and what its builds are made of.
import { sha256 } from '../../src/image/digest.ts';
import type { Plan, Task } from '../../src/plan/plan.ts';
import type { BuildInputs } from '../../src/run/build-inputs.ts';
import { images, parents, platforms, repositoryOf, tag } from './family.ts';

export interface Policies {
  publish: Plan['publish'];
  failedPlatform: Plan['failedPlatform'];
  /** Images whose platforms are tested. */
  tested: ReadonlySet<string>;
  gated: boolean;
}

export function inputsOf(image: string, version: number): BuildInputs {
  const parent = parents[image];
  const from = parent ? `FROM ${repositoryOf(parent)}:${tag}` : `FROM scratch\nCOPY ${version} /`;
  return {
    dockerfile: `${from}\nCOPY ${image} /${image}\n`,
    ignore: undefined,
    context: sha256(`${image} ${version}`),
  };
}

export function planOf({ publish, failedPlatform, tested, gated }: Policies): Plan {
  const tasks = images.flatMap((image): Task[] => {
    const parent = parents[image];
    const repository = repositoryOf(image);
    const reference = parent ? `${repositoryOf(parent)}:${tag}` : '';
    const builds = platforms.map((platform) => {
      const id = (name: string): string => `build ${name} ${platform.os}/${platform.architecture}`;
      return {
        kind: 'build' as const,
        id: id(image),
        ...{
          image,
          platform,
          repository,
          mode: 'native' as const,
          context: '/',
          dockerfile: '/Dockerfile',
          args: {},
          secrets: [],
        },
        upstreams: parent ? [{ task: id(parent), reference, range: { start: 5, end: 5 + reference.length } }] : [],
        needs: parent ? [id(parent)] : [],
      };
    });
    const tests = tested.has(image)
      ? builds.map((build) => ({
          kind: 'test' as const,
          id: build.id.replace('build', 'test'),
          ...{
            image,
            platform: build.platform,
            mode: build.mode,
            repository,
            build: build.id,
            commands: ['true'],
            needs: [build.id],
          },
        }))
      : [];
    const publishing: Task = {
      kind: 'publish',
      id: `publish ${image}`,
      ...{ image, repository, tags: [tag], audit: { mode: 'stop', allow: [] } },
      builds: builds.map(({ id, platform }) => ({ task: id, platform, archTags: [`${tag}-${platform.architecture}`] })),
      needs: [...builds, ...tests].map(({ id }) => id),
    };
    return [...builds, ...tests, publishing];
  });
  const gates = gated ? [{ name: 'gate', run: 'true' }] : [];
  return { version: 1, family: 'faults', publish, failedPlatform, gates, tasks };
}
