// Files that are not compared, each with the reason: they differ between any two builds, or lie elsewhere on each architecture.

export interface IgnoredFiles {
  pattern: RegExp;
  /** Why, in words for people (docs/verify.md lists them). */
  reason: string;
}

/** Not compared at all: two builds of one platform differ in them too. Folders themselves are, what lies in them is not. */
export const ignoredAlways: IgnoredFiles[] = [
  {
    pattern: /^\/(?:dev|proc|sys|run|tmp|var\/tmp|var\/run)\//,
    reason: 'filled when a container runs, or left behind by a build',
  },
  { pattern: /^\/(?:var|root|home\/[^/]+)\/\.?cache\//, reason: 'caches' },
  { pattern: /^\/var\/log\//, reason: 'logs' },
  { pattern: /\.py[co]$|\/__pycache__$/, reason: 'compiled by Python when a module is first used' },
  { pattern: /^\/etc\/ld\.so\.cache$/, reason: 'ldconfig’s cache' },
  {
    pattern:
      /^\/var\/lib\/(?:dpkg|apt|rpm|dnf|yum|rpm-state)\/|^(?:\/usr)?\/lib\/apk\/|^\/etc\/apk\/(?:arch|world)$|^\/usr\/lib\/sysimage\/|^\/usr\/share\/rpm\//,
    reason: 'databases and lists of package managers: the packages in them are compared',
  },
  {
    pattern: /^\/(?:\.dockerenv|etc\/(?:hostname|hosts|resolv\.conf|machine-id|mtab)|var\/lib\/dbus\/machine-id)$/,
    reason: 'written by the engine or when a container starts',
  },
];

/** Not compared between platforms: there for one architecture's sake. */
export const ignoredAcrossPlatforms: IgnoredFiles[] = [
  {
    pattern: /\/(?:ld-linux[^/]*\.so\.\d+|ld64\.so\.\d+|ld-musl-[^/]+\.so\.\d+|ld\.so\.\d+|ld-\d[\d.]*\.so)$/,
    reason: 'the dynamic loader: the architecture’s ABI says its name and folder',
  },
  {
    pattern: /^(?:\/usr)?\/(?:lib64|lib32|libx32|libo32)$/,
    reason: 'a folder or link that is there for the loader’s sake on some architectures',
  },
  { pattern: /\/\.build-id(?:\/|$)/, reason: 'links named by a hash of the machine code' },
  { pattern: /\/glibc-hwcaps(?:\/|$)/, reason: 'libraries for newer processors of one architecture' },
];

export function isIgnored(path: string, rules: IgnoredFiles[]): boolean {
  return rules.some(({ pattern }) => pattern.test(path));
}
