// Names that say the architecture of what they name (/usr/lib/x86_64-linux-gnu, binutils-aarch64-linux-gnu), made the same for every
// platform, so that only what really differs is left.
import { normalizePlatform, type Platform } from '../platform.ts';

/**
 * What an architecture is called: by Go (`GOARCH`), uname, GNU triplets (config.guess), Debian's ports (dpkg's cputable), rpm's archs
 * (rpmrc) and Alpine's. No word of another architecture is taken for it.
 */
const words: Record<string, string[]> = {
  amd64: ['x86_64', 'x86-64', 'amd64', 'x86_64_v2'],
  '386': ['i386', 'i486', 'i586', 'i686', 'x86'],
  arm64: ['aarch64', 'arm64'],
  arm: ['armhf', 'armel', 'armv5tel', 'armv6', 'armv6l', 'armv6hl', 'armv7', 'armv7l', 'armv7hl', 'armv7hnl'],
  ppc64le: ['powerpc64le', 'ppc64le', 'ppc64el'],
  s390x: ['s390x'],
  riscv64: ['riscv64', 'riscv64gc'],
  mips64le: ['mips64el', 'mips64le'],
  loong64: ['loongarch64', 'loong64'],
};
/** Words that mean an architecture only after the name of a system: `linux-x64`, `linux_386`. */
const afterSystem: Record<string, string[]> = { amd64: ['x64'], '386': ['386', 'ia32'], arm: ['arm'] };

export interface ArchitectureWords {
  /** `lib/x86_64-linux-gnu/x` is `lib/<triplet>/x`, `tool-linux-amd64` is `tool-linux-<arch>`; what names no architecture stays. */
  neutral(text: string): string;
  /** Whether a package's architecture is the platform's own or none: `all`, `noarch`, undefined. */
  isOwn(packageArchitecture: string | undefined): boolean;
}

const noArchitecture = new Set(['all', 'noarch', '(none)']);

export function architectureWords(platform: Platform): ArchitectureWords {
  const { architecture } = normalizePlatform(platform);
  const own = [...(words[architecture] ?? [architecture])].sort((a, b) => b.length - a.length);
  const short = afterSystem[architecture] ?? [];
  const cpu = own.join('|');
  // Debian writes triplets in package names with a hyphen for the underscore, others put a vendor in the middle.
  const triplet = new RegExp(
    `(?<![A-Za-z0-9])(?:${cpu}${architecture === 'arm' ? '|arm' : ''})-(?:[a-z]+-)?linux-(?:gnu|musl)[a-z0-9]*(?![A-Za-z0-9])`,
    'g',
  );
  // x86 is a word of 386, x86_64 is none.
  const alone = new RegExp(`(?<![A-Za-z0-9])(?:${cpu})(?![A-Za-z0-9]|[_-]64)`, 'g');
  const after = new RegExp(`(?<=linux[-_/])(?:${short.join('|')})(?![A-Za-z0-9])`, 'g');
  return {
    neutral(text) {
      const without = text.replace(triplet, '<triplet>').replace(alone, '<arch>');
      return short.length === 0 ? without : without.replace(after, '<arch>');
    },
    isOwn: (named) => named === undefined || noArchitecture.has(named) || own.includes(named),
  };
}
