// How long it takes until a program has said its version: what every call of it costs.
import type { Measurement } from './measurement.ts';
import { goProgram, splitbuild, systemProgram, timed } from './peers.ts';
import { contestant, takeTurns } from './turns.ts';

const node = process.execPath;

export async function measure(rounds = 5): Promise<Measurement> {
  const turns = await takeTurns(
    [
      { name: 'splitbuild --version', version: '', run: () => timed(node, [splitbuild, '--version']) },
      { name: 'node -e 0', version: process.versions.node, run: () => timed(node, ['-e', '0']) },
      {
        name: 'splitbuild --help',
        version: '',
        run: () => timed(node, [splitbuild, '--help']),
      },
      contestant('docker --version', systemProgram('docker'), (path) => timed(path, ['--version'])),
      contestant('crane version', goProgram('crane'), (path) => timed(path, ['version'])),
    ],
    rounds * 6,
  );
  return {
    name: 'start',
    ...turns,
    unit: 'ms',
    target: 'within 1.25 × `node -e 0`',
    reached: ({ ours, peer }) => ours <= 1.25 * peer('node -e 0'),
    note: 'docker and crane are compiled programs, shown for comparison; what Node itself takes to start is the floor here.',
  };
}
