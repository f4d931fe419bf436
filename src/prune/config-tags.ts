// The names that a config's tags may have in a repository: what prune leaves alone.
import type { Config, ImageConfig } from '../config/config.ts';
import { archTag } from '../family/family.ts';

/**
 * Tags of the file, of all its workflows and of the image, each with its arch tags. What only git knows becomes a glob: the
 * pattern of the workflow's own `on` where it has one.
 */
export function configTags(config: Config, image: ImageConfig): string[] {
  const patterns = [...config.tags, ...(image.tags ?? [])];
  for (const { on = {}, tags = [] } of Object.values(config.workflows)) {
    for (const tag of tags) {
      patterns.push(
        tag
          .replaceAll('${gitTag}', on.tag ?? '*')
          .replaceAll('${branch}', on.branch ?? '*')
          .replaceAll(/\$\{[^}]*\}/g, '*'),
      );
    }
  }
  // A tag can't have these: a branch that has them is written otherwise.
  const tags = [...new Set(patterns)].map((pattern) => pattern.replaceAll(/[^A-Za-z0-9_.*?-]/g, '?'));
  return tags.flatMap((tag) => [
    tag,
    ...image.platforms.map((platform) => archTag(tag, config.archTagSuffix, platform)),
  ]);
}
