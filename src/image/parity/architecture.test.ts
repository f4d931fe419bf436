// Names of the same thing on two architectures, from Debian's, Alpine's and Fedora's packages.
import { expect, test } from 'vitest';
import { value } from '../../registry/testing.ts';
import { parsePlatform } from '../platform.ts';
import { architectureWords } from './architecture.ts';

function words(platform: string) {
  return architectureWords(value(parsePlatform(platform)));
}

test.each([
  ['linux/amd64', '/usr/lib/x86_64-linux-gnu/libz.so.1', 'linux/arm64', '/usr/lib/aarch64-linux-gnu/libz.so.1'],
  ['linux/386', '/usr/lib/i386-linux-gnu/libz.so.1', 'linux/arm/v7', '/usr/lib/arm-linux-gnueabihf/libz.so.1'],
  ['linux/amd64', 'binutils-x86-64-linux-gnu', 'linux/arm64', 'binutils-aarch64-linux-gnu'],
  ['linux/amd64', '/usr/lib/gcc/x86_64-redhat-linux/11/cc1', 'linux/arm64', '/usr/lib/gcc/aarch64-redhat-linux/11/cc1'],
  [
    'linux/amd64',
    '/usr/lib/gcc/x86_64-alpine-linux-musl/13',
    'linux/arm64',
    '/usr/lib/gcc/aarch64-alpine-linux-musl/13',
  ],
  ['linux/amd64', '_bz2.cpython-311-x86_64-linux-gnu.so', 'linux/arm64', '_bz2.cpython-311-aarch64-linux-gnu.so'],
  ['linux/amd64', '/lib/libc.musl-x86_64.so.1', 'linux/386', '/lib/libc.musl-x86.so.1'],
  ['linux/amd64', 'node_modules/@esbuild/linux-x64/bin', 'linux/arm64', 'node_modules/@esbuild/linux-arm64/bin'],
  ['linux/amd64', 'kubectl-linux-amd64', 'linux/386', 'kubectl-linux-386'],
  ['linux/ppc64le', 'powerpc64le-linux-gnu', 'linux/s390x', 's390x-linux-gnu'],
])('%s: %s is %s: %s', (one, name, other, otherName) => {
  expect(words(one).neutral(name)).toContain('<');
  expect(words(one).neutral(name)).toBe(words(other).neutral(otherName));
});

test.each(['/usr/lib/aarch64-linux-gnu/x', '/opt/arm64/x', '/usr/share/camd64', 'harmonica', '/data/386', 'x86_641'])(
  'nothing of %s is an amd64 image’s own architecture',
  (name) => {
    expect(words('linux/amd64').neutral(name)).toBe(name);
  },
);

test('a package is of the platform’s own architecture by any of its names, or of none', () => {
  expect(['amd64', 'x86_64', 'all', 'noarch', undefined].map(words('linux/amd64').isOwn)).not.toContain(false);
  expect(['armhf', 'armv7hl', 'armv7'].map(words('linux/arm/v7').isOwn)).not.toContain(false);
  expect(['i386', 'i686', 'x86'].map(words('linux/386').isOwn)).not.toContain(false);
  expect(['i386', 'arm64'].map(words('linux/amd64').isOwn)).not.toContain(true);
});
