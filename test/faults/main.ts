// The fault lab's command line: --schedules N --seed S [--only K[,K…] --events E] [--cli dist/cli.js]. Progress to standard output, a line of JSON a schedule
// to .cache/faults/, at the end what was injected, and `N passed, N failed, N skipped`.
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { labProblem } from '../lab/lab.ts';
import { type FaultLab, openFaultLab } from './lab.ts';
import type { ScheduleResult } from './perform.ts';
import { summarize } from './report.ts';

const root = new URL('../..', import.meta.url).pathname;
const { values } = parseArgs({
  options: {
    schedules: { type: 'string', default: '50' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    events: { type: 'string' },
    cli: { type: 'string', default: join(root, 'dist/cli.js') },
    busybox: { type: 'string', default: join(root, '.cache/faults/busybox') },
    subnet: { type: 'string', default: '7' },
  },
});
const count = Number(values.schedules);
const seed = Number(values.seed);
const numbers = values.only
  ? values.only.split(',').map(Number)
  : Array.from({ length: count }, (_, place) => place + 1);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const problem = labProblem() ?? (existsSync(values.cli) ? undefined : `${values.cli} is not there: npm run build`);
if (problem) {
  say(`The fault lab can't run here: ${problem}`);
  say(`0 passed, 0 failed, ${numbers.length} skipped`);
} else {
  const folder = join(root, '.cache/faults');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `seed-${seed}${values.only ? '-only' : ''}-${stamp()}.jsonl`);
  writeFileSync(file, '');
  let stopped = false;
  process.once('SIGINT', () => {
    stopped = true;
    say('Stopping after this schedule.');
  });
  const results: (ScheduleResult & { events: number })[] = [];
  let lab: FaultLab | undefined;
  try {
    lab = await openFaultLab({ subnet: Number(values.subnet), cli: values.cli, busybox: values.busybox });
    say(`An undisturbed run takes ${(lab.baseline.ms / 1000).toFixed(1)} s and has ${lab.baseline.events} events.`);
    // How many there are is a matter of a retry or two: a schedule that is to come about again is given what it had.
    const events = values.events ? Number(values.events) : lab.baseline.events;
    for (const number of numbers) {
      if (stopped) break;
      const result = { events, ...(await lab.perform(seed, number, events)) };
      results.push(result);
      appendFileSync(file, `${JSON.stringify(result)}\n`);
      for (const line of progress(result)) say(line);
    }
  } finally {
    await lab?.close();
  }
  say(`\n${summarize(results)}\n`);
  say(`Results: ${file}`);
  const failed = results.filter(({ violations }) => violations.length > 0);
  for (const { number, events } of failed.slice(0, 20))
    say(`Again: npm run test:faults -- --seed ${seed} --only ${number} --events ${events}`);
  say(`${results.length - failed.length} passed, ${failed.length} failed, ${numbers.length - results.length} skipped`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}

function progress({ number, publish, ms, runs, violations }: ScheduleResult): string[] {
  const faults = runs.flatMap((run) =>
    run.faults.map(
      ({ kind, detail, hits }) =>
        `${kind}${detail ? ` (${detail})` : ''}${hits === 0 ? ' unhit' : hits > 1 ? ` ×${hits}` : ''}`,
    ),
  );
  const ends = runs.map(({ code, signal, ms: took }) => `${signal ?? code} in ${(took / 1000).toFixed(1)} s`);
  return [
    `${violations.length > 0 ? '✖' : '✔'} ${seed}/${number} ${publish}, ${(ms / 1000).toFixed(1)} s: ${faults.join('; ')} → ${ends.join(', ')}`,
    ...violations.map(({ invariant, text }) => `    ${invariant}: ${text.replaceAll('\n', '\n      ')}`),
  ];
}

function stamp(): string {
  return new Date().toISOString().slice(0, 19).replace(/[-:]/g, '');
}
