import { expect, test } from 'vitest';
import type { BuilderConfig } from '../config/config.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import { type Assumptions, assumeBuilders } from './assume.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const arm64: Platform = { os: 'linux', architecture: 'arm64' };
const native = [amd64, arm64].map((platform) => ({ platform, mode: 'native' as const }));
const usual: Assumptions = { wanted: native, seen: new Map(), machine: amd64, cpus: 6 };

/** `here: linux/amd64; emulates -; 6 slots; assumes platforms slots`. */
function words(builders: BuilderConfig[], more: Partial<Assumptions> = {}): string[] {
  return assumeBuilders(builders, { ...usual, ...more }).map((one) => {
    const list = (platforms: Platform[]): string => platforms.map(formatPlatform).join(' ') || '-';
    const assumed = [...(one.assumedPlatforms ? ['platforms'] : []), ...(one.assumedSlots ? ['slots'] : [])];
    return `${one.name}: ${list(one.native)}; emulates ${list(one.emulated)}; ${one.slots} slots; assumes ${assumed.join(' ') || '-'}`;
  });
}

const here: BuilderConfig = { name: 'here', endpoint: 'local', engine: 'docker' };
const arm: BuilderConfig = { name: 'arm', endpoint: 'ssh://ci@arm-1', engine: 'docker' };

test('what the config says is not assumed', () => {
  expect(words([{ ...arm, platforms: [arm64], slots: 3 }])).toEqual([
    'arm: linux/arm64; emulates -; 3 slots; assumes -',
  ]);
});

test('a builder that nothing is known of has this machine’s architecture, and a remote one what no other has', () => {
  expect(words([here])).toEqual(['here: linux/amd64; emulates -; 6 slots; assumes platforms slots']);
  expect(words([here, arm])).toEqual([
    'here: linux/amd64; emulates -; 6 slots; assumes platforms slots',
    'arm: linux/amd64 linux/arm64; emulates -; 6 slots; assumes platforms slots',
  ]);
});

test('what a run has seen of a builder is taken, within what the config gives it to do', () => {
  const seen = new Map([['arm', { native: ['linux/arm64', 'linux/arm/v7'], emulated: ['linux/amd64'], slots: 12 }]]);
  expect(words([arm], { seen })).toEqual(['arm: linux/arm64 linux/arm/v7; emulates linux/amd64; 12 slots; assumes -']);
  expect(words([{ ...arm, platforms: [arm64], slots: 2 }], { seen })).toEqual([
    'arm: linux/arm64; emulates -; 2 slots; assumes -',
  ]);
});

test('emulation is assumed only where the plan allows it', () => {
  const wanted = native.map(({ platform }) => ({ platform, mode: 'emulated' as const }));
  expect(words([here], { wanted })).toEqual([
    'here: linux/amd64; emulates linux/arm64; 6 slots; assumes platforms slots',
  ]);
});
