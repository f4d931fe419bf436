// What is said where no builder could take a platform.
import type { Failure } from '../failure.ts';
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { Builder, Mode } from './fleet.ts';
import type { Member } from './health.ts';

export function openOf(members: Member[]): Builder[] {
  return members.flatMap(({ opened }) => opened?.builder ?? []);
}

export function noBuilder(builders: Builder[], platform: Platform, mode: Mode): Failure {
  const name = formatPlatform(platform);
  return {
    kind: 'placement',
    message:
      mode === 'native' ? `no builder is native for ${name}` : `no builder can run ${name}, natively or emulated`,
    tried: builders.map(
      ({ name, endpoint, info }) => `${name} (${endpoint}): ${info.engine} on ${formatPlatform(info.machine)}`,
    ),
    help:
      mode === 'native'
        ? `add a ${name} machine under 'builders', or allow emulation with 'mode: emulated' (slow)`
        : `add a ${name} machine under 'builders', or set up emulation on one (Debian: apt install qemu-user-static binfmt-support)`,
  };
}

export function allSick(sick: Member[], platform: Platform, ms: number): Failure {
  return {
    kind: 'placement',
    message: `no builder that could take ${formatPlatform(platform)} has answered for ${ms / 1000} s`,
    tried: sick.map(({ name, endpoint }) => `${name} (${endpoint})`),
    help: 'look at these machines, then run again: what is done is not repeated',
  };
}
