// References with symbols in them, taken apart: registry, repository, tag, and the ending that names one platform.
import { archSuffix, formatPlatform, parsePlatform } from '../../image/platform.ts';
import { symbolsOf } from './symbols.ts';

export interface SplitReference {
  /** With its registry, if it names one. */
  repository: string;
  tag?: string;
}

/** At the last colon behind the last slash; what is inside a symbol does not count. */
export function splitReference(text: string): SplitReference {
  const masked = text.replace(/\uE000[^\uE001]*\uE001/g, (whole) => '\uE002'.repeat(whole.length)).replace(/@.*$/, '');
  const at = masked.lastIndexOf(':');
  if (at < 0 || at < masked.lastIndexOf('/')) return { repository: text.slice(0, masked.length) };
  return { repository: text.slice(0, at), tag: text.slice(at + 1, masked.length) };
}

/** Whether a variable of this name is likely to hold a registry's host. */
export function isRegistryName(name: string): boolean {
  return /REGISTRY|ECR|GCR|ACR|ACCOUNT_URL|DOCKER_HOST|ARTIFACTORY/i.test(name);
}

/** The registry in front of a repository, by docker's rule (a dot, a colon or `localhost`), or by the name of its variable. */
export function splitRegistry(repository: string): { registry?: string; path: string } {
  const slash = repository.replace(/\uE000[^\uE001]*\uE001/g, (whole) => '\uE002'.repeat(whole.length)).indexOf('/');
  const first = slash < 0 ? '' : repository.slice(0, slash);
  const plain = first.replace(/\uE000[^\uE001]*\uE001/g, '');
  const named = symbolsOf(first).some(({ name }) => isRegistryName(name));
  if (first !== '' && (/[.:]/.test(plain) || plain === 'localhost' || named))
    return { registry: first, path: repository.slice(slash + 1) };
  return { path: repository };
}

const endings = [
  'amd64',
  'x86_64',
  'x86-64',
  'x64',
  'x86',
  'arm64v8',
  'arm64',
  'aarch64',
  'arm32v7',
  'arm32v6',
  'armv7',
  'armv6',
  'armhf',
  'arm',
  '386',
  'ppc64le',
  's390x',
  'riscv64',
];
const behind = new RegExp(`^(.+?)([-_.])(?:linux[-_.])?(${endings.join('|')})$`, 'i');
const inFront = new RegExp(`^(?:linux[-_.])?(${endings.join('|')})([-_.])(.+)$`, 'i');

/** `arm64`, `linux/arm64`, `-arm64`. */
export function isArch(text: string): boolean {
  return endings.includes(text.toLowerCase().replace(/^(linux[/_-]|[-_.])/, ''));
}

export interface ArchSplit {
  /** Without the ending. */
  rest: string;
  /** `linux/arm64`. */
  platform: string;
  /** As written: `-arm64`. */
  ending: string;
}

/** `develop-arm64` as `develop` for linux/arm64; undefined where no platform is named. */
export function splitArch(text: string): ArchSplit | undefined {
  const [, rest, mark = '', arch] = behind.exec(text) ?? [];
  if (rest !== undefined && arch !== undefined)
    return { rest, platform: platformNamed(arch), ending: `${mark}${arch}` };
  const [, front, , after] = inFront.exec(text) ?? [];
  if (front !== undefined && after !== undefined) return { rest: after, platform: platformNamed(front), ending: '' };
  return endings.includes(text.toLowerCase())
    ? { rest: 'latest', platform: platformNamed(text), ending: '' }
    : undefined;
}

function platformNamed(text: string): string {
  const lower = text.toLowerCase();
  const arch = lower.startsWith('arm32')
    ? `arm${lower.slice(5)}`
    : lower.startsWith('arm64')
      ? 'arm64'
      : /^x(86|64)$/.test(lower)
        ? 'amd64'
        : lower;
  const [, version] = /^armv([67])$/.exec(arch) ?? [];
  const platform = parsePlatform(version === undefined ? arch : `linux/arm/v${version}`);
  return platform.ok ? formatPlatform(platform.value) : 'linux/amd64';
}

/** `arm64` for linux/arm64. */
export function archOf(platform: string): string {
  const parsed = parsePlatform(platform);
  return parsed.ok ? archSuffix(parsed.value) : platform;
}
