// A handful of the fault lab's schedules (npm run test:faults runs hundreds): engines, networks, registry and splitbuild itself break while
// a family is built, and nothing is lost.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FaultLab, openFaultLab } from './faults/lab.ts';
import { labProblem } from './lab/lab.ts';

const problem = labProblem();
const root = join(import.meta.dirname, '..');
const seed = 11;

describe.skipIf(problem)(`the fault lab${problem ? ` (skipped: ${problem})` : ''}`, () => {
  let lab: FaultLab;

  beforeAll(async () => {
    const busybox = join(root, '.cache/faults/busybox');
    execFileSync('bash', [join(root, 'scripts/busybox.sh'), busybox], { stdio: 'ignore' });
    lab = await openFaultLab({ subnet: 7, cli: join(root, 'dist/cli.js'), busybox });
  });
  afterAll(async () => lab?.close());

  test.for([1, 2, 3, 4, 5, 6])(
    'schedule %i: all is published in the end, and nothing was lost on the way',
    async (number) => {
      const { violations, runs } = await lab.perform(seed, number, lab.baseline.events);
      expect(
        violations,
        `npm run test:faults -- --seed ${seed} --only ${number} --events ${lab.baseline.events}\n${JSON.stringify(runs, undefined, 2)}`,
      ).toEqual([]);
    },
  );
});
