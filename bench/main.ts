// npm run bench: each measurement with its peers in turn, printed, and kept in results.json, of which docs/benchmarks.md and its plots are
// made. `--only NAME` (repeatable; a part of names does) measures some of them; `--rounds N` how often; `--list` names them.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeDocument } from './document.ts';
import { describeMachine, load } from './machine.ts';
import { formatMeasurement, isReached, type Measurement } from './measurement.ts';
import { type Result, resultsSchema } from './results.ts';

const measurements: Record<string, (rounds: number) => Promise<Measurement | Measurement[]>> = {
  family: async (rounds) => (await import('./family.ts')).measureCriticalPath(rounds),
  'family-others': async (rounds) => (await import('./family.ts')).measureOthers(rounds),
  'family-bake': async (rounds) => (await import('./family.ts')).measureBake(rounds),
  native: async (rounds) => (await import('./native.ts')).measure(rounds),
  unchanged: async (rounds) => (await import('./unchanged.ts')).measure(rounds),
  'join-many': async (rounds) => (await import('./join.ts')).measureMany(rounds),
  'join-far': async (rounds) => (await import('./join.ts')).measureFar(rounds),
  'join-one': async (rounds) => (await import('./join.ts')).measureOne(rounds),
  copy: async (rounds) => (await import('./copy.ts')).measure(rounds),
  export: async (rounds) => (await import('./export.ts')).measure(rounds),
  plan: async (rounds) => (await import('./scale.ts')).measurePlan(rounds),
  emit: async (rounds) => (await import('./scale.ts')).measureEmit(rounds),
  memory: async (rounds) => (await import('./memory.ts')).measure(rounds),
  start: async (rounds) => (await import('./start.ts')).measure(rounds),
};

const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: [] },
    rounds: { type: 'string', default: '5' },
    list: { type: 'boolean', default: false },
  },
});
const wanted = Object.entries(measurements).filter(
  ([name]) =>
    values.only.length === 0 ||
    values.only.some((part) => (part in measurements ? part === name : name.includes(part))),
);
if (values.list) process.stdout.write(`${wanted.map(([name]) => name).join('\n')}\n`);
else await measureAll();

async function measureAll(): Promise<void> {
  const docs = join(import.meta.dirname, '../docs');
  const file = join(import.meta.dirname, 'results.json');
  const results = existsSync(file) ? resultsSchema.parse(JSON.parse(readFileSync(file, 'utf8'))) : {};
  let failed = false;
  for (const [key, measure] of wanted) {
    process.stderr.write(`${key}\n`);
    const before = load();
    try {
      const made = await measure(Math.max(1, Number(values.rounds) || 5));
      for (const [place, measurement] of [made].flat().entries()) {
        process.stdout.write(formatMeasurement(measurement));
        results[place === 0 ? key : `${key}-${place + 1}`] = resultOf(measurement, before);
      }
    } catch (error) {
      failed = true;
      process.stdout.write(`${key}\n  not measured: ${error instanceof Error ? error.message : String(error)}\n`);
    }
    // After each: what was measured is not lost with what comes after it.
    const ordered = Object.keys(measurements).flatMap((name) =>
      Object.entries(results).filter(([kept]) => kept.replace(/-\d+$/, '') === name),
    );
    writeFileSync(file, `${JSON.stringify(Object.fromEntries(ordered), undefined, 2)}\n`);
    writeDocument(docs, new Map(ordered));
  }
  if (failed) process.exitCode = 1;
}

function resultOf(measurement: Measurement, before: number): Result {
  const { name, ours, peers, unit, target, note, own } = measurement;
  const reached = isReached(measurement);
  return {
    ...{ name, ours, peers, unit, target },
    own: own ?? 'splitbuild',
    ...(note === undefined ? {} : { note }),
    ...(reached === undefined ? {} : { reached }),
    machine: describeMachine(),
    load: Math.round(before * 10) / 10,
    date: new Date().toISOString().slice(0, 10),
  };
}
