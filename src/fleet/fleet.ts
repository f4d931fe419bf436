// The builders of a run. It knows nothing of what is built.
import { type Clock, systemClock } from '../clock.ts';
import type { BuilderConfig } from '../config/config.ts';
import type { Engine, EngineInfo } from '../engine/engine.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import { candidates } from '../plan/candidates.ts';
import type { Next } from '../plan/handover.ts';
import type { Abilities } from './abilities.ts';
import { type HealthOptions, type Member, newMember, usualHealth } from './health.ts';
import { openBuilder } from './open-builder.ts';
import { noBuilder } from './placement.ts';
import { createScheduler, type Scheduler } from './scheduler.ts';

export interface Builder {
  name: string;
  endpoint: string;
  engine: Engine;
  info: EngineInfo;
  /** Of those the run wants. */
  native: Platform[];
  /** Of those the run wants, what binfmt_misc lets it run. */
  emulated: Platform[];
  /** Builds at a time. */
  slots: number;
  /** `host:port` at which this builder reaches the run's registry. */
  registryAddress: string;
}

export type Mode = 'native' | 'emulated';

export interface Lease {
  builder: Builder;
  emulated: boolean;
  /** Aborted when the builder stops answering while it is lent; the reason is the Failure. */
  lost: AbortSignal;
  /** What needs the slot is done: whom `to` says yes to may have it before the builder is released. */
  offerSlot(to: (next: Next) => boolean): void;
  /** `suspect`: what failed may be the builder's fault, so it is probed before it gets more work. */
  release(suspect?: boolean): Promise<void>;
}

export interface Wishes {
  /** Name of a builder that is taken only if there is no other. */
  avoid?: string;
  /** Name of the builder that has the layers which the task begins with: taken if it has a free slot, and no other is far quicker. */
  prefer?: string;
  /** How urgent it is: the longest chain of work from the task to the end of the run, ms. Absent: not at all. */
  priority?: number;
  /** How long the task will take on a builder, ms. Absent: on all the same. */
  expected?(builder: string, emulated: boolean): number;
}

/** A builder fell sick, with why, or is well again. */
export type OnHealth = (builder: string, lost: Failure | undefined) => void;

export interface Fleet {
  /** Those that were opened at the beginning. */
  builders: Builder[];
  /** Those that could not be opened, while others could do their work. */
  sick: { name: string; failure: Failure }[];
  /** Who is told of health from now on. */
  onHealth(listener: OnHealth): void;
  /** Waits for a slot on a builder of the platform that is well; the most urgent has it first. */
  acquire: Scheduler['acquire'];
  close(): Promise<void>;
}

export interface FleetOptions {
  registry: {
    /** As the coordinator reaches it. */
    address: string;
    /** Set where it listens on this machine's loopback alone. */
    loopbackPort?: number;
  };
  wanted: { platform: Platform; mode: Mode }[];
  /** Of earlier runs. */
  abilities: Abilities;
  env: Readonly<Record<string, string | undefined>>;
}

/**
 * Opens and probes every builder. One that doesn't answer is sick, and may come back; the fleet fails where a wanted platform has no
 * builder that can take it, and where a builder is wrongly configured.
 */
export async function openFleet(
  configs: BuilderConfig[],
  options: FleetOptions,
  signal: AbortSignal,
): Promise<Result<Fleet>> {
  const sources = configs.map((config) => ({
    name: config.name,
    endpoint: config.endpoint,
    open: (opening: AbortSignal) => openBuilder(config, options, opening),
  }));
  return assembleFleet(sources, options.wanted, { clock: systemClock, health: usualHealth }, signal);
}

/** Long enough to read the inputs of most builds, and nothing against the time of one. */
const usualSettle = 20;

/** The fleet of builders that `open` gives. `settle`: see SchedulerOptions. */
export async function assembleFleet(
  sources: Pick<Member, 'name' | 'endpoint' | 'open'>[],
  wanted: FleetOptions['wanted'],
  { clock, health, settle = usualSettle }: { clock: Clock; health: HealthOptions; settle?: number },
  signal: AbortSignal,
): Promise<Result<Fleet>> {
  const first = await Promise.all(sources.map(({ open }) => open(signal)));
  const members = sources.map((source, index): Member => {
    const opened = first[index];
    return newMember(source, opened?.ok ? opened.value : undefined);
  });
  const builders = members.flatMap(({ opened }) => opened?.builder ?? []);
  const failures = first.flatMap((one, index) =>
    one.ok ? [] : [{ name: sources[index]?.name ?? '', failure: one.failure }],
  );
  const closeAll = async (): Promise<void> => {
    await Promise.all(members.map(({ opened }) => opened?.close()));
  };
  const unserved = wanted.find(({ platform, mode }) => candidates(builders, platform, mode).length === 0);
  const fatal =
    failures.find(({ failure }) => unserved || !isPassing(failure))?.failure ??
    (unserved && noBuilder(builders, unserved.platform, unserved.mode));
  if (fatal) {
    await closeAll();
    return fail(fatal);
  }
  let listener: OnHealth = () => undefined;
  const scheduler = createScheduler(members, {
    ...{ clock, health, settle },
    onHealth: (builder, lost) => listener(builder, lost),
  });
  return ok({
    builders,
    sick: failures,
    onHealth: (given) => {
      listener = given;
    },
    acquire: scheduler.acquire,
    async close() {
      await scheduler.close();
      await closeAll();
    },
  });
}

function isPassing(failure: Failure): boolean {
  return failure.kind === 'engine' && failure.transient;
}
