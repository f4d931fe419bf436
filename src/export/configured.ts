// The files that the config's `exports` ask for, called as the pipeline of `ci generate` calls them.
import type { Config } from '../config/config.ts';
import { expandTemplate } from '../config/template.ts';
import { archTag, registryPath } from '../family/family.ts';
import { archSuffix, formatPlatform, type Platform, samePlatform } from '../image/platform.ts';

export interface ConfiguredExport {
  /** Name in the config. */
  image: string;
  platform: Platform;
  /** In the config's registry. */
  repository: string;
  tag: string;
  /** What the image is called in the archive: `hysds/verdi:develop-arm64`; the plain platform's has no suffix. */
  name: string;
  /** `hysds-verdi-develop-arm64.tar.gz`. */
  file: string;
}

/** `images` and `platforms`: only these, where any are named. */
export function configuredExports(
  config: Config,
  { images, platforms }: { images: string[]; platforms: Platform[] },
): ConfiguredExport[] {
  return config.exports.flatMap(({ image: name, file, plain }) => {
    const image = config.images.find((one) => one.name === name);
    if (!image || (images.length > 0 && !images.includes(name))) return [];
    const wanted = image.platforms.filter(
      (platform) => platforms.length === 0 || platforms.some((one) => samePlatform(one, platform)),
    );
    return (image.tags ?? config.tags).flatMap((tag) =>
      wanted.map((platform): ConfiguredExport => {
        const isPlain = plain === formatPlatform(platform);
        const suffix = isPlain ? '' : archTag('', config.archTagSuffix, platform);
        // The tag within names the platform even where arch tags don't: loaded one after the other, neither takes the other's name.
        const telling = config.archTagSuffix.includes('${arch}') ? config.archTagSuffix : '-${arch}';
        return {
          image: name,
          platform,
          repository: registryPath(config, image.repository),
          tag,
          name: `${image.repository}:${isPlain ? tag : archTag(tag, telling, platform)}`,
          file: expandTemplate(file, {
            tag,
            archSuffix: suffix,
            arch: archSuffix(platform),
            archTag: `${tag}${suffix}`,
            platform: formatPlatform(platform),
          }),
        };
      }),
    );
  });
}
