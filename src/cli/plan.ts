// `splitbuild plan`: the tasks of a run in order, and how it is expected to go. No builder is opened for it.
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Failure, Result } from '../failure.ts';
import { type AssumedBuilder, assumeBuilders } from '../fleet/assume.ts';
import { formatPlatform, normalizePlatform, type Platform } from '../image/platform.ts';
import { costOf } from '../plan/cost.ts';
import { oneEmulatedJob } from '../plan/emulated.ts';
import { formatFailure } from '../report/diagnostic.ts';
import * as report from '../report/forecast.ts';
import { drawTimeline } from '../report/timeline.ts';
import { type Forecast, forecast } from '../run/forecast.ts';
import { type History, readHistory } from '../run/journal.ts';
import { describeReason, type Explained } from '../run/why.ts';
import { type FamilyOptions, interruptSignal, type Loaded, load, printFailure } from './load.ts';
import { whyBuilds } from './why-builds.ts';

export async function plan(images: string[], options: FamilyOptions): Promise<number> {
  const signal = interruptSignal();
  const loaded = await load(images, options, signal);
  if (!loaded.ok) return printFailure(loaded.failure);
  const { plan } = loaded.value;
  const reasons = await whyBuilds(loaded.value, options.state, signal);
  const history = await readHistory(resolve(options.state, 'runs'), plan.family);
  const builders = knownBuilders(loaded.value, history);
  const expected = await forecast(plan, builders, history, reasons.ok ? reasons.value.there : undefined);
  if (options.json) printJson(loaded.value, builders, expected, reasons);
  else printText(loaded.value, builders, expected, reasons);
  return 0;
}

/** Those of the config, by what it and earlier runs say of them. */
export function knownBuilders({ config, plan }: Pick<Loaded, 'config' | 'plan'>, history: History): AssumedBuilder[] {
  return assumeBuilders(config.builders, {
    wanted: plan.tasks.flatMap((task) =>
      task.kind === 'publish' ? [] : [{ platform: task.platform, mode: task.mode }],
    ),
    seen: history.builders,
    machine: thisMachine(),
    cpus: availableParallelism(),
  });
}

/** Engines run Linux, also where the coordinator does not. */
function thisMachine(): Platform {
  const names: Record<string, string> = { x64: 'amd64', ia32: '386' };
  return normalizePlatform({ os: 'linux', architecture: names[process.arch] ?? process.arch });
}

function printJson(
  { plan, config }: Loaded,
  builders: AssumedBuilder[],
  expected: Result<Forecast>,
  reasons: Result<Explained>,
): void {
  process.stdout.write(
    `${JSON.stringify(
      {
        ...plan,
        builds: reasons.ok ? Object.fromEntries(reasons.value.builds) : { failure: reasons.failure },
        ...(reasons.ok ? { checkedAgain: Object.fromEntries(reasons.value.again) } : {}),
        expected: expected.ok ? expectedOf(builders, expected.value, config) : { failure: expected.failure },
      },
      undefined,
      2,
    )}\n`,
  );
}

/** A forecast as plain data. */
export function expectedOf(
  builders: AssumedBuilder[],
  { plan, there, schedule, estimate }: Forecast,
  config: Parameters<typeof costOf>[2],
): Record<string, unknown> {
  const uses = report.useOfBuilders(schedule, builders);
  return {
    tasksThere: there,
    wallMs: schedule.wallMs,
    criticalPathMs: schedule.critical.durationMs,
    criticalPath: schedule.critical.path,
    oneEmulatedJob: oneEmulatedJob(plan, estimate),
    builders: builders.map(({ name, native, emulated, assumedPlatforms, assumedSlots }, index) => ({
      ...uses[index],
      native: native.map(formatPlatform),
      emulated: emulated.map(formatPlatform),
      speed: estimate.speed(name),
      assumed: [...(assumedPlatforms ? ['platforms'] : []), ...(assumedSlots ? ['slots'] : [])],
    })),
    costs: costOf(plan, estimate, config),
    timeline: schedule.steps.map((step) => ({ ...step, basis: estimate.basis(step.task) })),
  };
}

function printText(
  { plan, config }: Loaded,
  builders: AssumedBuilder[],
  expected: Result<Forecast>,
  reasons: Result<Explained>,
): void {
  const { tasks } = plan;
  const lines: string[] = [];
  for (const task of tasks) {
    const what =
      task.kind === 'publish' ? `  → ${task.tags.join(', ')}` : task.mode === 'emulated' ? ' (may be emulated)' : '';
    lines.push(`${task.id}${what}`);
    if (task.needs.length > 0) lines.push(`    after ${task.needs.join(', ')}`);
    const reason = reasons.ok ? reasons.value.builds.get(task.id) : undefined;
    if (reason) lines.push(`    ${describeReason(reason)}`);
    const again = reasons.ok ? reasons.value.again.get(task.id) : undefined;
    if (again !== undefined) lines.push(`    checked again: ${again}`);
  }
  if (!reasons.ok)
    lines.push('', 'What is there already can’t be told:', formatFailure(reasons.failure, { color: stdoutColor() }));
  lines.push('', ...(expected.ok ? forecastLines(builders, expected.value, config) : without(expected.failure)));
  const platforms = new Set(tasks.flatMap((task) => (task.kind === 'build' ? [formatPlatform(task.platform)] : [])));
  const count = tasks.filter((task) => task.kind === 'publish').length;
  lines.push(`${tasks.length} tasks: ${count} images for ${[...platforms].join(', ')}.`);
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

export function forecastLines(
  builders: AssumedBuilder[],
  { plan, there, schedule, estimate }: Forecast,
  { madeUp = false, ...config }: Parameters<typeof costOf>[2] & { madeUp?: boolean },
): string[] {
  const byId = new Map(plan.tasks.map((task) => [task.id, task]));
  const timeline = drawTimeline(schedule, byId, { color: stdoutColor(), columns: columns(), rows: 40 });
  const assumed = report.describeAssumptions(builders);
  return [
    ...(there > 0 ? [report.describeThere(there, plan), ''] : []),
    ...(timeline.length > 0 ? [...timeline, '# on the critical path   = other work   . idle', ''] : []),
    ...report.describeUse(report.useOfBuilders(schedule, builders), estimate.speed),
    ...(assumed === undefined ? [] : [assumed]),
    ...(madeUp ? [] : [report.describeBasis(plan, estimate)]),
    report.describeCriticalPath(schedule, byId),
    report.describeWall(schedule),
    report.describeEmulatedJob(oneEmulatedJob(plan, estimate), schedule),
    ...report.describeCosts(costOf(plan, estimate, config)),
  ];
}

/** The plan stands all the same. */
function without(failure: Failure): string[] {
  return [
    'No timeline, as the config’s builders can’t do all of it:',
    formatFailure(failure, { color: stdoutColor() }),
  ];
}

/** Of the output that is asked for, as color() is for that of messages. */
function stdoutColor(): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (NO_COLOR) return false;
  return FORCE_COLOR !== undefined ? FORCE_COLOR !== '0' : process.stdout.isTTY === true;
}

function columns(): number {
  return process.stdout.columns ?? (Number(process.env.COLUMNS) || 100);
}
