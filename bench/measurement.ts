// What a benchmark gives: our times and those of the peers that took turns with us in the same run, on the same machine.

export interface Measurement {
  name: string;
  /** What of ours was measured, where it has a name of its own. */
  own?: string;
  ours: number[];
  peers: Peer[];
  unit: 'ms' | 's' | 'bytes' | 'MiB';
  /** What is to hold, in words: `faster than each`. */
  target: string;
  /** Whether it holds, of medians; undefined where the target is only to be shown. */
  reached?: (medians: Medians) => boolean;
  /** What a reader has to know to judge the numbers. */
  note?: string;
}

export interface Medians {
  ours: number;
  /** Of those that were measured. */
  peers: number[];
  /** Of the peer of that name; not a number where it wasn't measured. */
  peer(name: string): number;
}

export interface Peer {
  name: string;
  version: string;
  /** Undefined where it isn't here. */
  times: number[] | undefined;
  /** Why it isn't. */
  absent?: string;
}

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(middle)] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export function isReached({ ours, peers, reached }: Measurement): boolean | undefined {
  return reached?.({
    ours: median(ours),
    peers: peers.flatMap(({ times }) => (times ? [median(times)] : [])),
    peer: (name) => median(peers.find((one) => one.name === name)?.times ?? [Number.NaN]),
  });
}

/** Medians, spread and ratios, for people. A ratio above 1 says that the peer takes so many times as long. */
export function formatMeasurement({ name, own: who, ours, peers, unit, target, note }: Measurement): string {
  const own = median(ours);
  const line = (who: string, numbers: readonly number[], more = ''): string =>
    `  ${who.padEnd(34)} median ${median(numbers).toFixed(0).padStart(7)} ${unit}  (${Math.min(...numbers).toFixed(0)} to ${Math.max(...numbers).toFixed(0)}, ${numbers.length} rounds)${more}`;
  return [
    `${name}  [${target}]`,
    line(who ?? 'splitbuild', ours),
    ...peers.map(({ name: peer, version, times, absent }) =>
      times
        ? line(`${peer} ${version}`, times, `  ${(median(times) / own).toFixed(2)} × ours`)
        : `  ${`${peer} ${version}`.padEnd(34)} not measured: ${absent ?? 'it is not here'}`,
    ),
    ...(note ? [`  ${note}`] : []),
    '',
  ].join('\n');
}
