// Which programs fit which platforms: what Debian, Alpine and others build for them.
import { expect, test } from 'vitest';
import { type Platform, parsePlatform } from '../platform.ts';
import { allowedPaths } from './allowed.ts';
import { parseBinary } from './binary.ts';
import { judge } from './expect.ts';
import { amd64, arm64, armHard, armSoft, elf, i386, machO, pe } from './testing.ts';

function platform(text: string): Platform {
  const parsed = parsePlatform(text);
  if (!parsed.ok) throw new Error(text);
  return parsed.value;
}

function verdict(head: Buffer, of: string, loaders: string[] = []): string {
  const binary = parseBinary(head);
  if (!binary) throw new Error('no program');
  const judged = judge(binary, platform(of), loaders);
  return judged === 'fits' ? 'fits' : 'data' in judged ? 'data' : judged.problem;
}

const goArm = elf({ machine: 40, bits: 32, flags: 0x05000002 });

test.each([
  ['linux/amd64', amd64],
  ['linux/386', i386],
  ['linux/arm64', arm64],
  ['linux/arm/v7', armHard],
  ['linux/arm/v6', armHard],
  ['linux/arm/v5', armSoft],
  ['linux/arm/v5', goArm],
  ['linux/ppc64le', elf({ machine: 21 })],
  ['linux/s390x', elf({ machine: 22, endian: 'big' })],
  ['linux/riscv64', elf({ machine: 243 })],
  ['linux/mips64le', elf({ machine: 8 })],
  ['linux/loong64', elf({ machine: 258 })],
  ['freebsd/amd64', elf({ machine: 62, osAbi: 9 })],
])('on %s its own programs fit', (of, head) => {
  expect(verdict(head, of)).toBe('fits');
});

test.each([
  ['linux/arm64', amd64, 'machine'],
  ['linux/amd64', arm64, 'machine'],
  ['linux/386', amd64, 'machine'],
  ['linux/arm/v7', arm64, 'machine'],
  ['linux/amd64', armHard, 'machine'],
  ['linux/amd64', i386, 'bits'],
  ['linux/arm64', armHard, 'bits'],
  ['linux/amd64', elf({ machine: 62, bits: 32 }), 'bits'],
  ['linux/ppc64le', elf({ machine: 21, endian: 'big' }), 'endian'],
  ['linux/mips64le', elf({ machine: 8, endian: 'big' }), 'endian'],
  ['linux/arm/v5', armHard, 'float-abi'],
])('on %s a program of %# is a problem of its %s', (of, head, problem) => {
  expect(verdict(head, of)).toBe(problem);
});

test('32-bit programs are wanted where the image has their loader beside its own', () => {
  const [own, narrow] = ['ld-linux-x86-64.so.2', 'ld-linux.so.2'];
  expect(verdict(i386, 'linux/amd64', [own, narrow])).toBe('data');
  expect(verdict(i386, 'linux/amd64', [own])).toBe('bits');
  // All of the image is of 386.
  expect(verdict(i386, 'linux/amd64', [narrow])).toBe('bits');
  expect(verdict(armHard, 'linux/arm64', ['ld-linux-aarch64.so.1', 'ld-linux-armhf.so.3'])).toBe('data');
  expect(verdict(armHard, 'linux/arm64', ['ld-linux-aarch64.so.1', 'ld-linux.so.2'])).toBe('bits');
});

test('the float ABI of v6 and v7 is that of the loader, for programs that are linked; static ones bring their own', () => {
  const armhf = ['ld-linux-armhf.so.3'];
  const armel = ['ld-linux.so.3'];
  const staticSoft = elf({ machine: 40, bits: 32, flags: 0x05000200 });
  expect(verdict(armHard, 'linux/arm/v7', armhf)).toBe('fits');
  expect(verdict(armSoft, 'linux/arm/v7', armhf)).toBe('float-abi');
  expect(verdict(armHard, 'linux/arm/v7', armel)).toBe('float-abi');
  expect(verdict(armSoft, 'linux/arm/v7', armel)).toBe('fits');
  expect(verdict(armSoft, 'linux/arm/v6', ['ld-musl-armhf.so.1'])).toBe('float-abi');
  expect(verdict(armSoft, 'linux/arm/v7', [])).toBe('fits');
  expect(verdict(armSoft, 'linux/arm/v7', [...armhf, ...armel])).toBe('fits');
  expect(verdict(staticSoft, 'linux/arm/v7', armhf)).toBe('fits');
  expect(verdict(goArm, 'linux/arm/v7', armhf)).toBe('fits');
});

test.each([
  ['a BPF object', elf({ machine: 247, type: 1 })],
  ['an object file of another machine', elf({ machine: 183, type: 1 })],
  ['code of a GPU', elf({ machine: 190 })],
  ['code of an AMD GPU', elf({ machine: 224, type: 3 })],
  ['no machine', elf({ machine: 0 })],
  ['a microcontroller', elf({ machine: 83, bits: 32 })],
  ['firmware of ARM', elf({ machine: 40, bits: 32, osAbi: 255 })],
  ["pip's launcher", pe(0x14c, { wide: false })],
  ['an assembly of .NET', pe(0x14c, { wide: false, managed: true })],
  ['a program of macOS', machO(0x0100000c)],
])('%s is data', (_name, head) => {
  expect(verdict(head, 'linux/amd64')).toBe('data');
});

test('platforms whose programs are no ELF, or are unknown, are not judged', () => {
  expect(verdict(amd64, 'windows/arm64')).toBe('data');
  expect(verdict(amd64, 'wasi/wasm')).toBe('data');
  expect(verdict(amd64, 'linux/vax')).toBe('data');
});

test.each([
  // dpkg -L of Debian 12's packages, docker.io's golang, node, logstash and dotnet images.
  '/usr/share/qemu/openbios-ppc',
  '/usr/lib/grub/i386-pc/kernel.img',
  '/usr/lib/syslinux/modules/bios/chain.c32',
  '/usr/share/syslinux/chain.c32',
  '/lib/firmware/qcom/a630_gmu.bin',
  '/usr/lib/firmware/mrvl/x.bin',
  '/usr/aarch64-linux-gnu/lib/libc.so.6',
  '/usr/arm-linux-gnueabihf/lib/libc.so.6',
  '/usr/lib/gcc-cross/aarch64-linux-gnu/12/libgcc_s.so',
  '/usr/lib32/libc.so.6',
  '/usr/lib/llvm-14/lib/clang/14.0.6/lib/linux/libclang_rt.asan-i386.so',
  '/usr/lib/debug/.build-id/aa/bb.debug',
  '/usr/libexec/valgrind/memcheck-x86-linux',
  '/usr/libexec/perf-core/perf-read-vdso32',
  '/usr/bin/qemu-aarch64-static',
  '/usr/local/go/src/debug/elf/testdata/gcc-386-freebsd-exec',
  '/go/pkg/mod/github.com/x/y@v1.0.0/testdata/hello.arm',
  '/app/node_modules/bufferutil/prebuilds/linux-arm64/node.napi.node',
  '/app/runtimes/linux-musl-arm64/native/libe_sqlite3.so',
  '/root/.nuget/packages/sqlite/2.1.0/runtimes/linux-x64/native/libe_sqlite3.so',
  '/usr/share/logstash/vendor/jruby/lib/jni/x86_64-Linux/libjffi-1.2.so',
  '/usr/local/rustup/toolchains/1.80-x86_64-unknown-linux-gnu/lib/rustlib/aarch64-unknown-linux-gnu/lib/libstd-1.so',
])('%s may be of another machine', (path) => {
  expect(allowedPaths([])(path)).toMatch(/\S/);
});

test.each([
  '/usr/bin/tool',
  '/usr/lib/x86_64-linux-gnu/libc.so.6',
  '/opt/tool-linux-amd64/bin/tool',
  '/app/native/lib.so',
  '/bin/qemu',
])('%s may not', (path) => {
  expect(allowedPaths([])(path)).toBeUndefined();
});

test("the user's globs are of whole paths: a star stays within its folder, and a pattern without a slash counts anywhere", () => {
  const allowed = allowedPaths(['/opt/*/bin/tool', '/srv/**', '*.amd64', '/x/\\[id\\]']);
  expect(['/opt/a/bin/tool', '/srv/a/.b/c', '/srv/x', '/a/b/c.amd64', '/c.amd64', '/x/[id]'].map(allowed)).toEqual(
    Array(6).fill('allowed by the config'),
  );
  expect(['/opt/a/b/bin/tool', '/opt/bin/tool', '/a/srv/x', '/c.amd64/b', '/x/i'].map(allowed)).toEqual(
    Array(5).fill(undefined),
  );
});
