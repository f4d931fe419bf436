// The fault lab as a whole: its machines, an undisturbed first run that says how many events there are, and schedules one after the other.
import { randomBytes } from 'node:crypto';
import { perform, type ScheduleResult } from './perform.ts';
import { openRig } from './rig.ts';
import { makeSchedule } from './schedule.ts';

export interface FaultLab {
  /** Of the undisturbed run: events of its journal, output aside. */
  baseline: { ms: number; events: number };
  /** `events`: how many the schedule is made for. */
  perform(seed: number, number: number, events: number): Promise<ScheduleResult>;
  close(): Promise<void>;
}

/** How many schedules the engines keep their layers for. */
const pruneEvery = 20;

export async function openFaultLab(options: { subnet: number; cli: string; busybox: string }): Promise<FaultLab> {
  const canary = `canary-${randomBytes(12).toString('hex')}`;
  const rig = await openRig({ ...options, canary });
  try {
    // Twice: the first one's tags are the old ones of the second, and its pulls and canRun builds are cold.
    let events = 0;
    let ms = 0;
    for (const number of [-1, 0]) {
      const undisturbed = { seed: 0, number, publish: 'image', json: true, whenDown: 'reset', runs: [] } as const;
      const { runs, violations } = await perform(rig, { ...undisturbed, runs: [] }, options.cli);
      if (violations.length > 0)
        throw new Error(`an undisturbed run fails: ${JSON.stringify(violations, undefined, 2)}`);
      events = runs[0]?.events ?? 0;
      ms = runs[0]?.ms ?? 0;
    }
    let since = 0;
    return {
      baseline: { ms, events },
      async perform(seed, number, wanted) {
        since += 1;
        if (since % pruneEvery === 0) await rig.prune();
        return perform(rig, makeSchedule(seed, number, wanted), options.cli);
      },
      close: rig.close,
    };
  } catch (error) {
    await rig.close();
    throw error;
  }
}
