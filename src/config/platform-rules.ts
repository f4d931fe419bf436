// Which platforms a list names, and that it names each once.
import { formatPlatform, parsePlatform } from '../image/platform.ts';
import { nearest } from './nearest.ts';
import type { Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { asTexts } from './tree.ts';

/** Go's GOOS and GOARCH that images exist for (image-spec, config.md: "os" and "architecture"). */
const systems = ['linux', 'windows', 'darwin', 'freebsd', 'netbsd', 'openbsd', 'wasip1'];
const architectures = [
  'amd64',
  'arm64',
  'arm',
  '386',
  'ppc64le',
  's390x',
  'riscv64',
  'loong64',
  'mips64le',
  'mips64',
  'mipsle',
  'mips',
  'ppc64',
  'wasm',
];

/** As splitbuild writes it everywhere; undefined if it is none. */
export function parsed(text: string): string | undefined {
  // parsePlatform looks names up in an object, where `constructor` and the like are found as well.
  if (text.split('/').some((part) => part in Object.prototype)) return undefined;
  const platform = parsePlatform(text);
  if (!platform.ok) return undefined;
  const { os, architecture } = platform.value;
  return systems.includes(os) && architectures.includes(architecture) ? formatPlatform(platform.value) : undefined;
}

/** Reports what is no platform, or there twice. With `single`, the list stands for the one value at the path. */
export function checkPlatforms(list: unknown, path: Path, problems: Problems, single = false): boolean {
  const seen = new Map<string, string>();
  let sound = true;
  for (const item of asTexts(list, path)) {
    const place = single ? path : item.path;
    const platform = parsed(item.text);
    const before = platform === undefined ? undefined : seen.get(platform);
    if (platform === undefined) {
      const common = systems.flatMap((os) => architectures.map((architecture) => `${os}/${architecture}`));
      const near = nearest(item.text, common);
      const help = `${near ? `did you mean '${near}'? ` : ''}Write os/arch or os/arch/variant, as linux/amd64 or linux/arm/v7`;
      problems.error('platform', place, `'${item.text}' is not a platform`, { help });
      sound = false;
    } else if (before !== undefined) {
      const same = before === item.text ? '' : `, which is the same as '${before}'`;
      problems.error('duplicate-platform', place, `'${item.text}' is there twice${same}`, { help: 'leave one out' });
      sound = false;
    } else seen.set(platform, item.text);
  }
  return sound;
}
