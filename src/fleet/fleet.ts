// The builders of a run: which machine takes which platform, and how many at a time. It knows nothing of what is built.

import type { BuilderConfig } from '../config/config.ts';
import type { Engine, EngineInfo } from '../engine/engine.ts';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { formatPlatform, type Platform, samePlatform } from '../image/platform.ts';
import { openBuilder } from './open-builder.ts';

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
  release(): void;
}

export interface Fleet {
  builders: Builder[];
  /** Waits for a slot on a builder of the platform, the least loaded first; `avoid` names one to take only if there is no other. */
  acquire(platform: Platform, mode: Mode, signal: AbortSignal, avoid?: string): Promise<Result<Lease>>;
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
  env: Readonly<Record<string, string | undefined>>;
}

/** Opens and probes every builder; fails if one can't be reached or a wanted platform has none that can take it. */
export async function openFleet(
  configs: BuilderConfig[],
  options: FleetOptions,
  signal: AbortSignal,
): Promise<Result<Fleet>> {
  const opened = await Promise.all(configs.map((config) => openBuilder(config, options, signal)));
  const close = async (): Promise<void> => {
    await Promise.all(opened.map((one) => (one.ok ? one.value.close() : undefined)));
  };
  const failed = opened.find((one) => !one.ok);
  if (failed && !failed.ok) {
    await close();
    return failed;
  }
  const builders = opened.flatMap((one) => (one.ok ? [one.value.builder] : []));
  for (const { platform, mode } of options.wanted) {
    if (candidates(builders, platform, mode).length === 0) {
      await close();
      return fail(noBuilder(builders, platform, mode));
    }
  }
  return ok({ builders, acquire: createScheduler(builders), close });
}

/** A native builder if there is any, however busy: emulation is 10 to 50 times slower. */
function candidates(builders: Builder[], platform: Platform, mode: Mode): { builder: Builder; emulated: boolean }[] {
  const has = (platforms: Platform[]): boolean => platforms.some((one) => samePlatform(one, platform));
  const native = builders.filter((builder) => has(builder.native));
  if (native.length > 0) return native.map((builder) => ({ builder, emulated: false }));
  if (mode === 'native') return [];
  return builders.filter((builder) => has(builder.emulated)).map((builder) => ({ builder, emulated: true }));
}

function noBuilder(builders: Builder[], platform: Platform, mode: Mode): Failure {
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

interface Waiter {
  platform: Platform;
  mode: Mode;
  avoid: string | undefined;
  take(lease: Lease): void;
}

export function createScheduler(builders: Builder[]): Fleet['acquire'] {
  const running = new Map(builders.map((builder) => [builder, 0]));
  const waiting: Waiter[] = [];
  const load = (builder: Builder): number => (running.get(builder) ?? 0) / builder.slots;

  function tryTake({ platform, mode, avoid }: Omit<Waiter, 'take'>): Lease | undefined {
    const all = candidates(builders, platform, mode);
    const others = all.filter(({ builder }) => builder.name !== avoid);
    const [best] = (others.length > 0 ? others : all)
      .filter(({ builder }) => (running.get(builder) ?? 0) < builder.slots)
      .sort((a, b) => load(a.builder) - load(b.builder));
    if (!best) return undefined;
    running.set(best.builder, (running.get(best.builder) ?? 0) + 1);
    let held = true;
    return {
      ...best,
      release() {
        if (!held) return;
        held = false;
        running.set(best.builder, (running.get(best.builder) ?? 0) - 1);
        serveWaiting();
      },
    };
  }

  /** First come, first served, but nobody waits behind one who needs another machine. */
  function serveWaiting(): void {
    for (const waiter of [...waiting]) {
      const lease = tryTake(waiter);
      if (!lease) continue;
      waiting.splice(waiting.indexOf(waiter), 1);
      waiter.take(lease);
    }
  }

  return async (platform, mode, signal, avoid) => {
    if (signal.aborted) return fail({ kind: 'cancelled' });
    if (candidates(builders, platform, mode).length === 0) return fail(noBuilder(builders, platform, mode));
    const lease = tryTake({ platform, mode, avoid });
    if (lease) return ok(lease);
    return new Promise<Result<Lease>>((resolve) => {
      const stop = (): void => {
        waiting.splice(waiting.indexOf(waiter), 1);
        resolve(fail({ kind: 'cancelled' }));
      };
      const waiter: Waiter = {
        platform,
        mode,
        avoid,
        take(taken) {
          signal.removeEventListener('abort', stop);
          resolve(ok(taken));
        },
      };
      waiting.push(waiter);
      signal.addEventListener('abort', stop, { once: true });
    });
  };
}
