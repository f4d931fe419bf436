// What a platform expects of the programs in its images, and whether one of them is for another machine. Only what would be run or loaded
// there is judged; what is there as data has a reason in words instead.
import { formatPlatform, normalizePlatform, type Platform } from '../platform.ts';
import type { Binary } from './binary.ts';

export interface Expectation {
  machine: number;
  bits: 32 | 64;
  endian: 'little' | 'big';
  /** The machine of 32-bit programs that the same kernels may run, which are a surprise none the less. */
  narrow?: number;
}

export type Problem = 'machine' | 'bits' | 'endian' | 'float-abi';

export type Verdict = 'fits' | { problem: Problem; expected: string } | { data: string };

/** CPUs that some container platform has (e_machine of the gABI's registry), with the names that people and `readelf -h` give them. */
const cpus = new Map<number, string>([
  [3, 'Intel 80386'],
  [8, 'MIPS'],
  [20, 'PowerPC'],
  [21, 'PowerPC64'],
  [22, 'IBM S/390'],
  [40, 'ARM'],
  [62, 'x86-64'],
  [183, 'AArch64'],
  [243, 'RISC-V'],
  [258, 'LoongArch'],
]);

/** What no container platform runs, and is in images as data: GPU code, BPF, firmware of microcontrollers and old machines. */
const elsewhere = new Map<number, string>([
  [0, 'no machine'],
  [2, 'SPARC'],
  [4, 'm68k'],
  [15, 'PA-RISC'],
  [42, 'SuperH'],
  [43, 'SPARC V9'],
  [50, 'IA-64'],
  [83, 'AVR'],
  [94, 'Xtensa'],
  [105, 'MSP430'],
  [164, 'Hexagon'],
  [190, 'NVIDIA CUDA'],
  [224, 'AMD GPU'],
  [247, 'Linux BPF'],
  [0x9026, 'Alpha'],
]);

/** PE's Machine and Mach-O's cputype. */
const foreign = new Map<string, string>([
  ['pe:332', 'Intel 80386'],
  ['pe:452', 'ARM'],
  ['pe:34404', 'x86-64'],
  ['pe:43620', 'AArch64'],
  ['mach-o:0', 'of several machines'],
  ['mach-o:7', 'Intel 80386'],
  ['mach-o:12', 'ARM'],
  ['mach-o:16777223', 'x86-64'],
  ['mach-o:16777228', 'AArch64'],
]);

/** By architecture as GOARCH and OCI's image-spec name them. */
const platforms = new Map<string, Expectation>([
  ['amd64', { machine: 62, bits: 64, endian: 'little', narrow: 3 }],
  ['386', { machine: 3, bits: 32, endian: 'little' }],
  ['arm64', { machine: 183, bits: 64, endian: 'little', narrow: 40 }],
  ['arm', { machine: 40, bits: 32, endian: 'little' }],
  ['ppc64le', { machine: 21, bits: 64, endian: 'little' }],
  ['ppc64', { machine: 21, bits: 64, endian: 'big', narrow: 20 }],
  ['s390x', { machine: 22, bits: 64, endian: 'big' }],
  ['riscv64', { machine: 243, bits: 64, endian: 'little' }],
  ['mips64le', { machine: 8, bits: 64, endian: 'little' }],
  ['mips64', { machine: 8, bits: 64, endian: 'big' }],
  ['mipsle', { machine: 8, bits: 32, endian: 'little' }],
  ['mips', { machine: 8, bits: 32, endian: 'big' }],
  ['loong64', { machine: 258, bits: 64, endian: 'little' }],
]);

/** undefined where the platform's programs aren't ELF (Windows, WebAssembly), or its architecture isn't known here. */
export function expectationOf(platform: Platform): Expectation | undefined {
  const { os, architecture } = normalizePlatform(platform);
  return os === 'linux' || os === 'freebsd' ? platforms.get(architecture) : undefined;
}

/** `ELF 64-bit x86-64`; the byte order where a machine has both, the float ABI where it is told. */
export function describeBinary(binary: Binary): string {
  const { format, machine, bits, endian, floatAbi, managed } = binary;
  if (format !== 'elf') {
    const name = foreign.get(`${format}:${machine}`) ?? `machine ${machine}`;
    return managed ? 'PE of .NET' : `${format === 'pe' ? 'PE' : 'Mach-O'} ${bits}-bit ${name}`;
  }
  const name = cpus.get(machine) ?? elsewhere.get(machine) ?? `machine ${machine}`;
  return describeElf({ machine, bits, endian }, name, floatAbi);
}

const bothOrders = new Set([8, 21, 40, 183]);

function describeElf({ machine, bits, endian }: Expectation, name: string, floatAbi?: 'hard' | 'soft'): string {
  const order =
    bothOrders.has(machine) && (endian === 'big' || machine === 8 || machine === 21) ? ` ${endian}-endian` : '';
  return `ELF ${bits}-bit ${name}${order}${floatAbi ? ` ${floatAbi}-float` : ''}`;
}

/**
 * The loaders of 32-bit ARM, which tell the ABI of an image's libraries: Debian's armhf and armel, musl's of Alpine (armhf, armv7 and
 * armel).
 */
const hardLoader = /^ld-(linux-armhf\.so\.3|musl-armhf\.so\.1)$/;
const softLoader = /^ld-(linux\.so\.3|musl-arm\.so\.1)$/;
/** Loaders of 32-bit programs by the machine that they are of. */
const narrowLoaders = new Map<number, RegExp>([
  [3, /^ld-(linux\.so\.2|musl-i386\.so\.1)$/],
  [40, /^ld-(linux-armhf\.so\.3|linux\.so\.3|musl-armhf\.so\.1|musl-arm\.so\.1)$/],
]);

/** Loaders of the platforms' own programs: without one, an image whose programs are all 32-bit is no image with some of them. */
const wideLoaders = new Map<number, RegExp>([
  [62, /^ld-(linux-x86-64\.so\.2|musl-x86_64\.so\.1)$/],
  [183, /^ld-(linux-aarch64\.so\.1|musl-aarch64\.so\.1)$/],
]);

/** Names that tell which programs of other ABIs the image is made to run. */
export const anyLoader = /^ld-(linux|musl)[^/]*\.so\.[0-9]+$/;

/**
 * ARM's float ABI is not what a platform says: v5 means soft in all distributions (it promises no floating-point unit), while v6 and v7
 * are hard in Debian's armhf, Raspbian and Alpine but run soft ones as well. So the image's own loader decides there, and only what is
 * linked against libraries is held to it: a static program brings its ABI along, and an image of nothing else has none.
 */
export function expectedFloatAbi(platform: Platform, loaders: string[]): 'hard' | 'soft' | undefined {
  const { architecture, variant } = normalizePlatform(platform);
  if (architecture !== 'arm') return undefined;
  if (variant === 'v5') return 'soft';
  const hard = loaders.some((name) => hardLoader.test(name));
  const soft = loaders.some((name) => softLoader.test(name));
  return hard === soft ? undefined : hard ? 'hard' : 'soft';
}

/** `loaders`: names of the dynamic loaders in the image's final file system (those that `anyLoader` matches). */
export function judge(binary: Binary, platform: Platform, loaders: string[]): Verdict {
  const expectation = expectationOf(platform);
  if (binary.format !== 'elf')
    return { data: 'programs of other systems (Windows, macOS, .NET), which Linux does not run' };
  if (!expectation) return { data: `not judged: of ${formatPlatform(platform)} no machine is known here` };
  if (binary.type !== 'executable' && binary.type !== 'shared') {
    return isOf(binary, expectation) ? 'fits' : { data: 'object files and core dumps, which are not run' };
  }
  if (!cpus.has(binary.machine)) return { data: 'code that no CPU of a container platform runs (GPU, BPF, firmware)' };
  if (binary.standalone && !isOf(binary, expectation))
    return { data: 'firmware, for a machine without an operating system' };
  const cpu = cpus.get(expectation.machine) ?? '';
  const expected = describeElf(expectation, cpu);
  if (binary.machine !== expectation.machine) {
    if (binary.machine !== expectation.narrow || binary.bits !== 32) return { problem: 'machine', expected };
    const has = (pattern: RegExp | undefined) => loaders.some((name) => pattern?.test(name));
    if (has(narrowLoaders.get(binary.machine)) && has(wideLoaders.get(expectation.machine))) {
      return { data: '32-bit programs, for which the image has the loader' };
    }
    return { problem: 'bits', expected };
  }
  if (binary.bits !== expectation.bits) return { problem: 'bits', expected };
  if (binary.endian !== expectation.endian) return { problem: 'endian', expected };
  const floatAbi = expectedFloatAbi(platform, loaders);
  const linked = binary.type === 'shared' || binary.interpreter !== undefined;
  // v5 has no unit for a hard-float program, linked or not.
  const held = linked || normalizePlatform(platform).variant === 'v5';
  if (floatAbi && held && binary.floatAbi !== undefined && binary.floatAbi !== floatAbi) {
    return { problem: 'float-abi', expected: describeElf(expectation, cpu, floatAbi) };
  }
  return 'fits';
}

function isOf({ machine, bits, endian }: Binary, expectation: Expectation): boolean {
  return machine === expectation.machine && bits === expectation.bits && endian === expectation.endian;
}
