// Thousands of schedules in the simulated world: --simulated N --seed S [--from K] [--into docs/reliability.md]. At the end what was injected, and
// `N passed, N failed, N skipped`; with --into, the figures go between the document's marks.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { simulateSchedule } from './simulate.ts';

const { values } = parseArgs({
  options: {
    simulated: { type: 'string', default: '1000' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    into: { type: 'string' },
  },
});
const count = Number(values.simulated);
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const injected = new Map<string, number>();
const failed: number[] = [];
let runs = 0;
const begun = Date.now();
for (let number = Number(values.from); number < Number(values.from) + count; number += 1) {
  const result = await simulateSchedule(values.seed, number).catch((error: unknown) => ({
    number,
    runs: 0,
    injected: new Map<string, number>(),
    violations: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
  }));
  runs += result.runs;
  for (const [kind, times] of result.injected) injected.set(kind, (injected.get(kind) ?? 0) + times);
  if (result.violations.length > 0) {
    failed.push(number);
    say(`✖ ${values.seed}/${number}`);
    for (const violation of result.violations.slice(0, 5)) say(`    ${violation}`);
  }
  if ((number + 1) % 500 === 0) say(`${number + 1} schedules, ${runs} runs, ${failed.length} failed`);
}
const rows = [...injected].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, times]) => `| ${kind} | ${times} |`);
const figures = [
  '| fault | injected |',
  '| --- | --- |',
  ...rows,
  '',
  `${count} schedules, ${runs} runs, ${Math.round((Date.now() - begun) / 1000)} s. Schedules in which something was lost: ${failed.length}.`,
].join('\n');
say(`\n${figures}\n`);
for (const number of failed.slice(0, 20)) {
  say(`Again: npm run test:faults -- --simulated 1 --seed ${values.seed} --from ${number}`);
}
if (values.into) {
  const document = readFileSync(values.into, 'utf8');
  const [before = '', rest = ''] = document.split('<!-- simulated -->');
  const [, after = ''] = rest.split('<!-- /simulated -->');
  writeFileSync(values.into, `${before}<!-- simulated -->\n${figures}\n<!-- /simulated -->${after}`);
}
say(`${count - failed.length} passed, ${failed.length} failed, 0 skipped`);
process.exitCode = failed.length > 0 ? 1 : 0;
