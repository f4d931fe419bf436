// Which builders could take a platform: estimates, schedules and the fleet itself go by the same.
import { type Platform, samePlatform } from '../image/platform.ts';

/** A native builder if there is any, however busy: emulation is 10 to 50 times slower. */
export function candidates<B extends { native: Platform[]; emulated: Platform[] }>(
  builders: B[],
  platform: Platform,
  mode: 'native' | 'emulated',
): { builder: B; emulated: boolean }[] {
  const has = (platforms: Platform[]): boolean => platforms.some((one) => samePlatform(one, platform));
  const native = builders.filter((builder) => has(builder.native));
  if (native.length > 0) return native.map((builder) => ({ builder, emulated: false }));
  if (mode === 'native') return [];
  return builders.filter((builder) => has(builder.emulated)).map((builder) => ({ builder, emulated: true }));
}
