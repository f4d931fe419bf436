// Builders that are nothing but slots, under the scheduler of real ones: for simulations.
import type { Clock } from '../clock.ts';
import type { Engine } from '../engine/engine.ts';
import { fail, ok } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import { type Member, newMember } from './health.ts';
import { createScheduler, type Scheduler } from './scheduler.ts';

export interface VirtualBuilder {
  name: string;
  native: Platform[];
  emulated: Platform[];
  slots: number;
}

const linux: Platform = { os: 'linux', architecture: 'amd64' };

/** They are always well, and are not asked. What is ready at the same moment is served by urgency. */
export function createVirtualScheduler(builders: VirtualBuilder[], clock: Clock): Scheduler {
  const members = builders.map((shape): Member => {
    const builder = {
      ...shape,
      endpoint: 'simulated',
      engine: noEngine,
      info: {
        engine: 'docker' as const,
        version: '',
        client: '',
        machine: shape.native[0] ?? linux,
        cpus: shape.slots,
      },
      registryAddress: '',
    };
    const opened = { builder, close: async () => undefined };
    return newMember({ name: shape.name, endpoint: 'simulated', open: async () => ok(opened) }, opened);
  });
  const health = { interval: Number.MAX_SAFE_INTEGER, patience: 1, misses: 1, wait: 1 };
  return createScheduler(members, { health, clock, settle: 0, onHealth: () => undefined });
}

const nothing = async () =>
  fail({ kind: 'engine' as const, transient: false, message: 'a builder of a simulation has no engine' });

const noEngine: Engine = {
  probe: nothing,
  canRun: nothing,
  build: nothing,
  push: nothing,
  run: nothing,
  export: nothing,
  untag: nothing,
};
