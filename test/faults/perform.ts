// Performs one schedule: the runs with their faults, then runs without until one succeeds, and looks after each at what must be true.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkPublished, checkWithSkopeo, readTags, type UnitState, unitStates, type Violation } from './check.ts';
import { images, repositoryOf, writeConfig, writeNumber } from './family.ts';
import { type Away, createInjector, describe, type Injected } from './inject.ts';
import { journalNames, readJournals, repeatedBuilds } from './journals.ts';
import type { Seen } from './proxy.ts';
import type { Rig } from './rig.ts';
import { endGroup, type KillFault, type Ran, runSplitbuild, tunnels } from './run-splitbuild.ts';
import type { Fault, Schedule } from './schedule.ts';

export interface RunResult {
  journal?: string;
  code: number | null;
  signal: NodeJS.Signals | null;
  ms: number;
  events: number;
  lines: number;
  faults: Injected[];
  /** Units that were neither old nor new as it ended. */
  mixed: UnitState[];
  /** How many of the units were new. */
  moved: number;
  /** What a failed run's journal says went wrong, and the end of what it printed. */
  failures?: string[];
  end?: string;
}

export interface ScheduleResult {
  seed: number;
  number: number;
  publish: Schedule['publish'];
  ms: number;
  runs: RunResult[];
  violations: Violation[];
}

/** A run's own end comes first; a lost minute shows in `ms`, a lost run as a violation. */
const limitMs = 150_000;
const cleanRuns = 3;

export async function perform(rig: Rig, schedule: Schedule, cli: string): Promise<ScheduleResult> {
  const started = Date.now();
  const violations: Violation[] = [];
  const runs: RunResult[] = [];
  const groups: number[] = [];
  const number = `schedule ${schedule.seed}/${schedule.number} ${started}`;
  tidyJournals(rig);
  const earlier = new Set(journalNames(rig.state));
  writeConfig(rig.family, { registry: rig.proxy.address, publish: schedule.publish, builders: rig.builders });
  writeNumber(rig.family, number);
  rig.proxy.whenDown = schedule.whenDown;
  rig.proxy.leaks = [];
  const before = await readTags(rig);

  const once = async (faults: Fault[]): Promise<RunResult> => {
    const result = await runOnce(rig, schedule, cli, faults, runs.length);
    groups.push(result.ran.group);
    const now = await readTags(rig);
    const states = unitStates(before, now, schedule.publish);
    const { ran, injected, away } = result;
    const run: RunResult = {
      ...(ran.journal ? { journal: ran.journal } : {}),
      code: ran.code,
      signal: ran.signal,
      ms: ran.ms,
      events: ran.events,
      lines: ran.lines,
      faults: injected,
      mixed: states.filter(({ state }) => state === 'mixed'),
      moved: states.filter(({ state }) => state === 'new').length,
      ...(ran.code === 0 ? {} : { failures: ran.failures, end: ran.output.slice(-1500) }),
    };
    runs.push(run);
    violations.push(...judge(rig, ran, run, states, away));
    return run;
  };

  for (const faults of schedule.runs) {
    const { code } = await once(faults);
    if (code === 0) break;
  }
  for (let tries = 0; runs.at(-1)?.code !== 0 && tries < cleanRuns; tries += 1) await once([]);

  if (runs.at(-1)?.code !== 0) {
    violations.push({
      invariant: 'recovers',
      text: `${cleanRuns} runs without faults did not succeed: ${runs.at(-1)?.end}`,
    });
  } else {
    violations.push(...(await checkPublished(rig, await readTags(rig), number)));
    violations.push(...checkWithSkopeo(rig, images[schedule.number % images.length] ?? 'base'));
  }
  for (const again of repeatedBuilds(readJournals(rig.state).filter(({ name }) => !earlier.has(name)))) {
    violations.push({
      invariant: 'not repeated',
      text: `${again.task}, finished in ${again.finishedIn} with key ${again.key.slice(0, 12)}, was begun again in ${again.startedIn}`,
    });
  }
  if (stateHas(rig, rig.canary)) violations.push({ invariant: 'no secret', text: 'it is in the state folder' });
  for (const where of rig.proxy.leaks)
    violations.push({ invariant: 'no secret', text: `it went through the proxy: ${where}` });
  for (const group of groups) endGroup(group);
  for (const pid of tunnels(rig)) endGroup(pid); // each leads a group of its own
  for (const name of readdirSync(rig.temporary)) rmSync(join(rig.temporary, name), { recursive: true, force: true });
  return {
    seed: schedule.seed,
    number: schedule.number,
    publish: schedule.publish,
    ms: Date.now() - started,
    runs,
    violations,
  };
}

async function runOnce(
  rig: Rig,
  schedule: Schedule,
  cli: string,
  faults: Fault[],
  run: number,
): Promise<{ ran: Ran; injected: Injected[]; away: Away }> {
  const injector = createInjector(rig, faults, `${schedule.seed}/${schedule.number}/${run}`);
  rig.proxy.seen = [];
  const kill = faults.find((fault): fault is KillFault => fault.kind === 'splitbuild-kill');
  try {
    const ran = await runSplitbuild(rig, { cli, json: schedule.json, kill, limitMs, onProgress: injector.progress });
    const away = injector.away();
    const injected = await injector.lift();
    if (kill) {
      const hit = ran.signal === 'SIGKILL' && !ran.hung;
      injected.push({
        kind: kill.kind,
        detail: describe(kill),
        hits: hit ? 1 : 0,
        ...(hit ? { begunMs: ran.ms } : {}),
      });
    }
    return { ran, injected, away };
  } finally {
    await injector.lift();
    await rig.ready();
  }
}

function judge(rig: Rig, ran: Ran, run: RunResult, states: UnitState[], away: Away): Violation[] {
  const violations: Violation[] = [];
  const wrong = (invariant: Violation['invariant'], text: string): void => void violations.push({ invariant, text });
  const name = ran.journal ?? 'a run without a journal';
  if (ran.output.includes(rig.canary)) wrong('no secret', `it is in the output of ${name}`);
  if (ran.hung) wrong('ends well', `${name} did not end in ${limitMs / 1000} s`);
  else if (ran.signal === null && ran.code !== 0 && ran.code !== 1)
    wrong('ends well', `${name} ended with ${ran.code}: ${run.end}`);
  if (/^\s+at .*\((file|node):.*:\d+:\d+\)$/m.test(ran.output))
    wrong('ends well', `${name} threw: ${ran.output.slice(-1500)}`);
  if (ran.signal === null && ran.leftovers.length > 0) wrong('ends well', `${name} left ${ran.leftovers.join(', ')}`);
  if (ran.code === 0) {
    const rest = states.filter(({ state }) => state !== 'new');
    for (const { unit, state } of rest) wrong('published', `${unit} is ${state} after ${name} ended with 0`);
  }
  // In a kill's moment a unit may be in between, and where no registry answers nobody can put it right: the next run does.
  if (ran.signal === null && ran.code !== 0 && !away.registry) {
    for (const { unit, moved } of run.mixed) {
      if (away.answers && putRightInVain(rig.proxy.seen, moved)) continue;
      const disk = away.disk ? ' (no disk)' : '';
      wrong('whole units', `${unit} is neither old nor new after ${name} failed${disk}: moved are ${moved.join(', ')}`);
    }
  }
  return violations;
}

/** Whether the run was refused when it came back to a tag that it had moved: a registry that goes on refusing can't be put right. */
function putRightInVain(seen: Seen[], moved: string[]): boolean {
  return moved.some((name) => {
    const [image = '', tag = ''] = name.split(':');
    const path = `/v2/${repositoryOf(image)}/manifests/${tag}`;
    const requests = seen.filter((request) => request.path === path);
    const put = requests.findIndex(({ method, status }) => method === 'PUT' && status === 201);
    return requests.some(({ misbehaviour }, place) => misbehaviour !== undefined && place > put);
  });
}

/** The disk of the state is small: only the newest journals are carried into the next schedule. */
function tidyJournals(rig: Rig): void {
  for (const name of journalNames(rig.state).slice(0, -4)) rmSync(join(rig.state, 'runs', name));
}

function stateHas(rig: Rig, word: string): boolean {
  return readdirSync(rig.state, { recursive: true, withFileTypes: true }).some(
    (entry) => entry.isFile() && readFileSync(join(entry.parentPath, entry.name)).includes(word),
  );
}
