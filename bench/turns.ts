// Contestants take turns, each going first in its turn: whatever the machine does meanwhile, it does to all of them.
import type { Measurement, Peer } from './measurement.ts';
import type { Program } from './peers.ts';

export interface Contestant {
  name: string;
  version: string;
  /** Why it can't take part. */
  absent?: string;
  /** Not every round: what takes minutes. */
  rounds?: number;
  /** What is measured of one go. */
  run(): Promise<number>;
}

/** A contestant that is a program, if it is there. */
export function contestant(name: string, program: Program, run: (path: string) => Promise<number>): Contestant {
  const { path, version } = program;
  return path === undefined
    ? { name, version, absent: program.absent, run: async () => 0 }
    : { name, version, run: () => run(path) };
}

/** The first of `all` is ours. One that fails is out, and its failure is told. */
export async function takeTurns(
  all: readonly Contestant[],
  rounds: number,
): Promise<Pick<Measurement, 'own' | 'ours' | 'peers'>> {
  const times = new Map<Contestant, number[]>(all.map((one) => [one, []]));
  const failed = new Map<Contestant, string>();
  for (let round = 0; round < rounds; round += 1) {
    for (const place of all.keys()) {
      const one = all[(place + round) % all.length];
      if (!one || one.absent !== undefined || failed.has(one) || round >= (one.rounds ?? rounds)) continue;
      try {
        const took = await one.run();
        times.get(one)?.push(took);
        process.stderr.write(`  ${one.name}: ${took.toFixed(0)}\n`);
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        process.stderr.write(`  ${one.name} failed: ${why}\n`);
        if (one === all[0]) throw error;
        failed.set(one, why.split('\n').filter(Boolean).at(-1) ?? why);
      }
    }
  }
  const [ours, ...others] = all;
  const peers = others.map((one): Peer => {
    const { name, version } = one;
    const absent = one.absent ?? failed.get(one);
    return absent === undefined
      ? { name, version, times: times.get(one) ?? [] }
      : { name, version, times: undefined, absent };
  });
  return { own: ours?.name ?? '', ours: ours ? (times.get(ours) ?? []) : [], peers };
}
