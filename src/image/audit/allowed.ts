// Where images that are right have programs of other machines: as data, as libraries of a cross compiler, or in packages that bring
// those of all machines along. What lies there is noted and stops nothing. Each pattern has its reason; the audit's users add their own.
import picomatch from 'picomatch';

interface Allowed {
  /** What is there, for the note. */
  why: string;
  patterns: string[];
}

export const allowedByDefault: Allowed[] = [
  {
    why: 'firmware and boot loaders, which run before or beside the system',
    patterns: [
      '/boot/**',
      '/{,usr/}lib/firmware/**',
      // Debian's qemu-system-data, openbios, opensbi, u-boot, Xen's hvmloader: firmware of every machine that QEMU emulates.
      '/usr/share/{qemu,qemu-*,openbios,opensbi,slof,seabios,ipxe,u-boot}/**',
      '/usr/lib/{ipxe,u-boot,arm-trusted-firmware}/**',
      '/usr/lib/*/opensbi/**',
      '/usr/lib{,exec}/xen*/boot/**',
      // GRUB's and SYSLINUX's modules are 32-bit ELF of x86; Debian and Alpine have them in different folders.
      '/usr/lib/{grub,syslinux,SYSLINUX,SYSLINUX.EFI,ISOLINUX,PXELINUX,EXTLINUX}/**',
      '/usr/share/{grub,syslinux}/**',
    ],
  },
  {
    why: 'libraries that a cross compiler or a multilib one links against',
    patterns: [
      // Debian's libc6-dev-arm64-cross and friends, Fedora's sysroots, mingw.
      '/usr/*-linux-*/**',
      '/usr/*-w64-mingw32/**',
      '/usr/lib/gcc-cross/**',
      '/usr/lib/gcc/*/*/{32,x32,64,n32,soft,hard}/**',
      // libc6-dev-i386, gcc-multilib.
      '/{,usr/}lib{32,x32}/**',
      // compiler-rt: the sanitizers of i386 in a clang of amd64.
      '/usr/lib{,64}/{,llvm*/lib{,64}/}clang/**',
      // rustup target add.
      '**/rustlib/*/lib/**',
    ],
  },
  { why: 'debugging symbols', patterns: ['/usr/lib/debug/**'] },
  {
    why: 'tools that debug programs of other machines',
    patterns: ['/usr/lib{,exec,64}/{valgrind,perf-core}/**'],
  },
  {
    why: 'emulators, which an image takes along to be built on another machine',
    patterns: ['/usr/{,local/}bin/qemu-*-static'],
  },
  {
    why: 'data of tests',
    // Go's own sources (/usr/local/go/src/debug/elf/testdata) and its modules; fixtures of others.
    patterns: ['**/testdata/**', '**/test-data/**', '**/{test,tests}/fixtures/**'],
  },
  {
    why: 'a package that brings the programs of all machines along, and takes the right one',
    patterns: [
      // npm: prebuildify and node-gyp-build.
      '**/node_modules/**/prebuilds/**',
      // .NET: what NuGet packages and portable publishing put there, a folder for each runtime identifier.
      '**/runtimes/*/{native,lib}/**',
      // JRuby's libjffi, as in Logstash's image; JNA, netty and others in jars that were unpacked.
      '**/lib/jni/*-*/**',
      '**/com/sun/jna/**',
      '**/META-INF/native/**',
      '**/org/sqlite/native/**',
      // Elasticsearch's vector and machine learning libraries.
      '/usr/share/elasticsearch/lib/platform/**',
    ],
  },
];

/** Why a path (`/usr/bin/x`) may hold programs of other machines; undefined where it may not. */
export type AllowedPath = (path: string) => string | undefined;

/** `own`: the user's globs, in which `*` stays within a folder and `**` does not; one that begins with no slash counts from anywhere. */
export function allowedPaths(own: string[]): AllowedPath {
  const groups = [{ why: 'allowed by the config', patterns: own }, ...allowedByDefault].map(({ why, patterns }) => ({
    why,
    // Hidden folders are folders: /root/.nuget.
    matches: patterns.map((pattern) => picomatch(fromRoot(pattern), { dot: true })),
  }));
  return (path) => groups.find(({ matches }) => matches.some((matches) => matches(path.slice(1))))?.why;
}

/** picomatch knows no root: both are without their first slash. */
function fromRoot(pattern: string): string {
  if (pattern.startsWith('/')) return pattern.slice(1);
  return pattern.startsWith('**') ? pattern : `**/${pattern}`;
}
