// The jobs that make files of images and upload them: exports of the family's own, and assets of others.
import type { Config } from '../config/config.ts';
import { archTag } from '../family/family.ts';
import { archSuffix, formatPlatform } from '../image/platform.ts';
import type { Job } from './pipeline.ts';
import { registryOf, scriptStep, tagParams } from './steps.ts';

/** One job that uploads what the publishing jobs have exported. */
export function exportJobs(jobs: Job[], config: Config): Job[] {
  const deployed = config.exports.filter(({ deploy }) => deploy?.['github-release']);
  if (deployed.length === 0) return [];
  const needs = jobs.filter(({ steps }) => steps.some(({ kind }) => kind === 'persist')).map(({ name }) => name);
  const { build_tag, final_tag } = tagParams(config.tags);
  return [
    {
      name: 'deploy',
      title: 'exported images to the GitHub release',
      kind: 'deploy',
      large: false,
      needs,
      params: { build_tag, final_tag },
      secrets: [],
      tasks: [],
      steps: [
        { kind: 'attach', folder: 'images' },
        scriptStep('deploy', 'Upload the images', {
          RELEASE: deployed[0]?.deploy?.['github-release'] ?? '',
          FILES: 'images/*',
        }),
      ],
    },
  ];
}

/** Images of others, saved for each platform and uploaded. */
export function assetJobs(config: Config, workflow: string): Job[] {
  return (config.workflows[workflow]?.assets ?? []).flatMap((name): Job[] => {
    const asset = config.assets[name];
    if (!asset) return [];
    const platforms = config.platforms.filter((platform) =>
      asset.images.some((image) => image.platforms.some((one) => formatPlatform(one) === formatPlatform(platform))),
    );
    const saves = platforms.map((platform): Job => {
      const suffix = asset.plain === formatPlatform(platform) ? '' : archTag('', config.archTagSuffix, platform);
      const lines = asset.images
        .filter((image) => image.platforms.some((one) => formatPlatform(one) === formatPlatform(platform)))
        .map(({ image, as, file }) => `${image} ${as} ${file}${suffix}.tar.gz`);
      return {
        name: `export-${name}-assets-${archSuffix(platform)}`,
        title: `${name} assets for ${formatPlatform(platform)}`,
        kind: 'save',
        platform,
        large: false,
        needs: [],
        params: {},
        secrets: [],
        tasks: [],
        steps: [
          scriptStep('login', 'Log in', { REGISTRY: registryOf(config) }),
          scriptStep('save', `Save the images for ${formatPlatform(platform)}`, {
            PLATFORM: formatPlatform(platform),
            SAVES: lines.join('\n'),
          }),
          { kind: 'persist', folder: 'assets' },
        ],
      };
    });
    const release = asset.deploy?.['github-release'];
    if (!release) return saves;
    const { build_tag, final_tag } = tagParams(config.tags);
    return [
      ...saves,
      {
        name: `deploy-${name}-assets`,
        title: `${name} assets to the GitHub release`,
        kind: 'deploy',
        large: false,
        needs: saves.map((job) => job.name),
        params: { build_tag, final_tag },
        secrets: [],
        tasks: [],
        steps: [
          { kind: 'attach', folder: 'assets' },
          scriptStep('deploy', 'Upload the assets', { RELEASE: release, FILES: 'assets/*' }),
        ],
      },
    ];
  });
}
