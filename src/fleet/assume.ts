// The builders of a config without asking them anything: what the config says of each, what the last run found, and where both are
// silent an assumption that says it is one.
import type { BuilderConfig } from '../config/config.ts';
import { formatPlatform, type Platform, parsePlatform, samePlatform } from '../image/platform.ts';
import type { BuilderShape } from '../plan/estimate.ts';
import type { Mode } from './fleet.ts';

/** As a run found it. Platforms are texts, as in a journal. */
export interface SeenBuilder {
  native: string[];
  emulated: string[];
  slots: number;
}

export interface AssumedBuilder extends BuilderShape {
  /** Nobody has said or seen what it is native for, or can emulate. */
  assumedPlatforms: boolean;
  assumedSlots: boolean;
}

export interface Assumptions {
  wanted: { platform: Platform; mode: Mode }[];
  /** By name. */
  seen: ReadonlyMap<string, SeenBuilder>;
  /** The coordinator. */
  machine: Platform;
  cpus: number;
}

/**
 * One that has no `platforms` and was never seen is taken to be of the coordinator's architecture; a remote one may also be what is there
 * for those platforms that no other builder has.
 */
export function assumeBuilders(configs: BuilderConfig[], assumptions: Assumptions): AssumedBuilder[] {
  const { wanted, seen } = assumptions;
  const first = configs.map((config) => assumeOne(config, assumptions));
  const has = (platforms: Platform[], one: Platform): boolean => platforms.some((each) => samePlatform(each, one));
  const unserved = unique(wanted.map(({ platform }) => platform)).filter(
    (platform) => !first.some(({ native }) => has(native, platform)),
  );
  const emulatable = unique(wanted.flatMap(({ platform, mode }) => (mode === 'emulated' ? [platform] : [])));
  return first.map((builder, index): AssumedBuilder => {
    const config = configs[index];
    if (!config || config.platforms || seen.has(config.name)) return builder;
    const isRemote = config.endpoint !== 'local' && !config.endpoint.startsWith('unix:');
    const native = isRemote ? [...builder.native, ...unserved] : builder.native;
    const emulated = emulatable.filter((platform) => !has(native, platform));
    return { ...builder, native, emulated, assumedPlatforms: true };
  });
}

function assumeOne(config: BuilderConfig, { seen, machine, cpus, wanted }: Assumptions): AssumedBuilder {
  const known = seen.get(config.name);
  // As open-builder.ts counts an engine's processors.
  const slots = config.slots ?? known?.slots ?? Math.min(8, Math.max(1, cpus));
  const assumedSlots = config.slots === undefined && known === undefined;
  const shape = { name: config.name, slots, assumedSlots, assumedPlatforms: false };
  if (known) {
    const may = (names: string[]): Platform[] =>
      names.flatMap((name) => {
        const platform = parsePlatform(name);
        const allowed = platform.ok && (config.platforms?.some((own) => samePlatform(own, platform.value)) ?? true);
        return platform.ok && allowed ? [platform.value] : [];
      });
    const found = { native: may(known.native), emulated: may(known.emulated) };
    // A run looks at the platforms that it wants: what it did not want may be there all the same.
    const unseen = (config.platforms ?? []).filter(
      (one) => ![...found.native, ...found.emulated].some((each) => samePlatform(each, one)),
    );
    return { ...shape, native: [...found.native, ...unseen], emulated: found.emulated };
  }
  if (config.platforms) return { ...shape, native: config.platforms, emulated: [] };
  const own = unique(wanted.map(({ platform }) => platform)).filter((platform) => isKin(machine, platform));
  return { ...shape, native: own, emulated: [] };
}

/** Itself, or the 32-bit platform that an amd64 machine nearly always runs too. */
function isKin(machine: Platform, platform: Platform): boolean {
  const is386 = machine.architecture === 'amd64' && platform.architecture === '386' && machine.os === platform.os;
  return is386 || samePlatform(machine, platform);
}

function unique(platforms: Platform[]): Platform[] {
  return [...new Map(platforms.map((platform) => [formatPlatform(platform), platform])).values()];
}
