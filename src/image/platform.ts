// Platforms as containerd writes and normalises them: `linux/arm64/v8` is `linux/arm64`, `x86_64` is `amd64`.
import { fail, ok, type Result } from '../failure.ts';

export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
}

const aliases = new Map<string, [architecture: string, variant?: string]>([
  ['i386', ['386']],
  ['x86_64', ['amd64']],
  ['x86-64', ['amd64']],
  ['aarch64', ['arm64']],
  ['armhf', ['arm', 'v7']],
  ['armel', ['arm', 'v6']],
  ['armv7l', ['arm', 'v7']],
  ['armv6l', ['arm', 'v6']],
]);

/** containerd's platforms.Normalize: names and default variants; drops `v8` of arm64 and `v1` of amd64. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  const written = platform.architecture.toLowerCase();
  const [architecture, impliedVariant] = aliases.get(written) ?? [written];
  let variant = platform.variant?.toLowerCase() || impliedVariant;
  if (architecture === 'arm64' && (variant === 'v8' || variant === '8')) variant = undefined;
  if (architecture === 'amd64' && variant === 'v1') variant = undefined;
  if (architecture === '386') variant = undefined;
  if (architecture === 'arm') {
    if (variant === undefined) variant = 'v7';
    else if (/^[5-8]$/.test(variant)) variant = `v${variant}`;
  }
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

/** Parses `os/arch[/variant]`; a lone architecture (`arm64`) means Linux. */
export function parsePlatform(text: string): Result<Platform> {
  const parts = text.trim().split('/');
  const bad = parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]+$/.test(part));
  const [first = '', second, third] = parts;
  if (bad) {
    return fail({
      kind: 'usage',
      message: `'${text}' is not a platform`,
      help: 'write os/arch or os/arch/variant, as linux/amd64 or linux/arm/v7',
    });
  }
  return ok(
    second === undefined
      ? normalizePlatform({ os: 'linux', architecture: first })
      : normalizePlatform({ os: first, architecture: second, variant: third }),
  );
}

/** Each of several, as options give them. */
export function parsePlatforms(texts: readonly string[]): Result<Platform[]> {
  const platforms: Platform[] = [];
  for (const text of texts) {
    const platform = parsePlatform(text);
    if (!platform.ok) return platform;
    platforms.push(platform.value);
  }
  return ok(platforms);
}

/** A family of thousands of images asks for each of its few platforms many times. */
const formatted = new WeakMap<Platform, string>();

export function formatPlatform(platform: Platform): string {
  const known = formatted.get(platform);
  if (known !== undefined) return known;
  const { os, architecture, variant } = normalizePlatform(platform);
  const text = variant ? `${os}/${architecture}/${variant}` : `${os}/${architecture}`;
  formatted.set(platform, text);
  return text;
}

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(a) === formatPlatform(b);
}

/** The suffix of an arch tag: `arm64`, `386`, `armv7`; the os in front where it is not Linux. */
export function archSuffix(platform: Platform): string {
  const { os, architecture, variant } = normalizePlatform(platform);
  return `${os === 'linux' ? '' : `${os}-`}${architecture}${variant ?? ''}`;
}
