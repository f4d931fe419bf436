// Platforms as containerd normalises them (platforms/defaults and database tests), references as distribution/reference parses them.
import { expect, test } from 'vitest';
import { archSuffix, formatPlatform, parsePlatform } from './platform.ts';
import { formatReference, parseReference } from './reference.ts';

test.each([
  ['linux/amd64', 'linux/amd64', 'amd64'],
  ['linux/x86_64', 'linux/amd64', 'amd64'],
  ['arm64', 'linux/arm64', 'arm64'],
  ['linux/arm64/v8', 'linux/arm64', 'arm64'],
  ['linux/aarch64', 'linux/arm64', 'arm64'],
  ['linux/arm', 'linux/arm/v7', 'armv7'],
  ['linux/armhf', 'linux/arm/v7', 'armv7'],
  ['linux/armel', 'linux/arm/v6', 'armv6'],
  ['linux/arm/6', 'linux/arm/v6', 'armv6'],
  ['linux/i386', 'linux/386', '386'],
  ['windows/amd64', 'windows/amd64', 'windows-amd64'],
  ['linux/riscv64', 'linux/riscv64', 'riscv64'],
])('%s is %s, with the suffix %s', (written, normal, suffix) => {
  const parsed = parsePlatform(written);
  expect(parsed.ok && formatPlatform(parsed.value)).toBe(normal);
  expect(parsed.ok && archSuffix(parsed.value)).toBe(suffix);
});

test.each(['', 'a/b/c/d', 'linux/', 'linux/amd 64', '/-platform'])('%j is no platform', (written) => {
  expect(parsePlatform(written)).toMatchObject({ ok: false, failure: { kind: 'usage' } });
});

const digest = `sha256:${'a'.repeat(64)}`;

test.each([
  ['busybox', 'docker.io/library/busybox'],
  ['index.docker.io/busybox:1', 'docker.io/library/busybox:1'],
  ['hysds/base:v6.0.0', 'docker.io/hysds/base:v6.0.0'],
  ['localhost/x', 'localhost/x'],
  ['localhost:5000/x/y:z', 'localhost:5000/x/y:z'],
  ['quay.io/jupyter/base-notebook', 'quay.io/jupyter/base-notebook'],
  ['[fd00::1]:5000/x', '[fd00::1]:5000/x'],
  [`a/b:t@${digest}`, `docker.io/a/b:t@${digest}`],
])('%s is %s', (written, whole) => {
  const parsed = parseReference(written);
  expect(parsed.ok && formatReference(parsed.value)).toBe(whole);
});

test.each(['', 'team/UPPER', 'a:', 'a@sha256:12', 'a b', '-a', 'a//b', `a:${'t'.repeat(129)}`])(
  '%j is no reference',
  (written) => {
    expect(parseReference(written)).toMatchObject({ ok: false });
  },
);
