// What the same plan would take as the one job that people start from: every platform after the other, on one machine, under QEMU where
// it is not the machine's own. Pure.
import type { Platform } from '../image/platform.ts';
import type { Estimate } from './estimate.ts';
import { emulationFactor } from './learn.ts';
import type { Plan, Task } from './plan.ts';

export interface EmulatedJob {
  wallMs: number;
  /** Of that, under QEMU. */
  emulatedMs: number;
  /** How much longer than natively a build is taken to take under QEMU. */
  factor: number;
  machine: Platform;
}

const amd64: Platform = { os: 'linux', architecture: 'amd64' };

/** On one linux/amd64 machine of speed 1, one task at a time. */
export function oneEmulatedJob(plan: Plan, estimate: Pick<Estimate, 'base'>): EmulatedJob {
  let wallMs = 0;
  let emulatedMs = 0;
  for (const task of plan.tasks) {
    const emulated = isForeign(task);
    const ms = estimate.base(task.id) * (emulated ? emulationFactor : 1);
    wallMs += ms;
    if (emulated) emulatedMs += ms;
  }
  return { wallMs, emulatedMs, factor: emulationFactor, machine: amd64 };
}

/** Not of what an amd64 machine runs natively. */
export function isForeign(task: Task): boolean {
  return task.kind !== 'publish' && !['amd64', '386'].includes(task.platform.architecture);
}
