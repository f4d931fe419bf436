// What is published already and held to something else now is looked at again, though nothing is built: runs one after the other on one registry.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AuditConfig, GateConfig } from '../config/config.ts';
import { createSimulatedEngine } from '../engine/simulated.ts';
import { fail, ok } from '../failure.ts';
import { assembleFleet } from '../fleet/fleet.ts';
import { usualHealth } from '../fleet/health.ts';
import { sha256 } from '../image/digest.ts';
import { formatPlatform } from '../image/platform.ts';
import type { BuildTask, Plan, Task } from '../plan/plan.ts';
import { amd64, arm64 } from '../plan/testing.ts';
import { rememberedRegistry } from '../registry/remembered.ts';
import { createSimulatedRegistry, type SimulatedRegistry } from '../registry/simulated.ts';
import { createVirtualClock } from '../virtual-clock.ts';
import { type CheckNotes, openChecks } from './checks.ts';
import type { RunContext } from './context.ts';
import type { Event } from './event.ts';
import { execute } from './execute.ts';
import { gateFileReader } from './gate.ts';
import { replayHistory } from './journal.ts';
import { findReusable } from './keys-survey.ts';
import { lookAtPublished } from './published.ts';
import { explainBuilds } from './why.ts';

const platforms = [amd64, arm64];
const usual: Asked = { audit: { mode: 'stop', allow: [] }, gates: [], tests: [] };
const scan: GateConfig = { name: 'scan', run: './scan.sh $SPLITBUILD_REFERENCE' };

interface Asked {
  audit: AuditConfig;
  gates: GateConfig[];
  tests: string[];
  failedPlatform?: Plan['failedPlatform'];
  publish?: Plan['publish'];
}

function planOf({ audit, gates, tests: commands, failedPlatform = 'hold', publish = 'image' }: Asked): Plan {
  const builds = platforms.map((platform): BuildTask => {
    const id = `build app ${formatPlatform(platform)}`;
    return {
      ...{ kind: 'build', id, image: 'app', platform, mode: 'native', repository: 'o/app', context: '/' },
      ...{ dockerfile: '/Dockerfile', args: {}, secrets: [], upstreams: [], needs: [] },
    };
  });
  const tests = builds.flatMap(({ id, platform }): Task[] =>
    commands.length === 0
      ? []
      : [
          {
            ...{ kind: 'test', id: id.replace('build', 'test'), image: 'app', platform, mode: 'native', build: id },
            ...{ repository: 'o/app', commands, needs: [id] },
          },
        ],
  );
  const joined: Task = {
    ...{ kind: 'publish', id: 'publish app', image: 'app', repository: 'o/app', tags: ['latest'], audit },
    builds: builds.map(({ id, platform }) => ({ task: id, platform, archTags: [`latest-${platform.architecture}`] })),
    needs: [...builds, ...tests].map(({ id }) => id),
  };
  return { version: 1, family: 'f', publish, failedPlatform, gates, tasks: [...builds, ...tests, joined] };
}

let root: string;
let registry: SimulatedRegistry;
let state: CheckNotes;
/** Says no from when it is set. */
let refusing: 'audit' | 'gate' | 'test' | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'splitbuild-checks-'));
  mkdirSync(join(root, 'config'));
  writeFileSync(join(root, 'config/scan.sh'), 'exit 0\n');
  registry = createSimulatedRegistry();
  state = openChecks(join(root, 'checked'));
  refusing = undefined;
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Ran {
  outcome: string;
  /** What was done, in order: `build`, `test true`, `audit`, `gate scan`. */
  done: string[];
  requests: number;
  failures: string[];
}

async function run(asked: Partial<Asked> = {}, checked: CheckNotes = state, shared = false): Promise<Ran> {
  const plan = planOf({ ...usual, ...asked });
  const clock = createVirtualClock(0, () => 0.5);
  const never = new AbortController().signal;
  const done: string[] = [];
  const events: Event[] = [];
  let requests = 0;
  const engine = createSimulatedEngine({
    ...{ name: 'one', machine: amd64, cpus: 2, clock, registry: registry.client() },
    onBuild: () => {
      done.push('build');
      return { durationMs: 1 };
    },
    onRun: ({ command }) => {
      done.push(`test ${String(command)}`);
      return refusing === 'test' ? { kind: 'check', exitCode: 1, log: [], message: 'the test says no' } : undefined;
    },
  });
  const info = await clock.run(engine.probe(never));
  if (!info.ok) throw new Error(JSON.stringify(info.failure));
  const builder = { name: 'one', endpoint: 'sim://one', engine, info: info.value, native: platforms, emulated: [] };
  const opened = { builder: { ...builder, slots: 4, registryAddress: 'r.example' }, close: async () => undefined };
  const sources = [{ name: 'one', endpoint: 'sim://one', open: async () => ok(opened) }];
  const fleet = await assembleFleet(sources, [], { clock, health: usualHealth }, never);
  if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
  const world: Omit<RunContext, 'fleet'> = {
    ...{ id: `run${Math.random()}`, shared, registryAddress: 'r.example', plainHttp: true, embedded: false },
    ...{ force: false, clock, env: {}, checked, gateFiles: gateFileReader(join(root, 'config')) },
    registry: rememberedRegistry(
      registry.client(() => {
        requests += 1;
        return undefined;
      }),
    ),
    emit: (event) => void events.push(event),
    readInputs: async () => ok({ dockerfile: 'FROM scratch\n', ignore: undefined, context: sha256('app') }),
    audit: async (_, allow) => {
      done.push('audit');
      return ok(refusing === 'audit' && allow.length === 0 ? ['/opt/firmware: another machine'] : []);
    },
    runGate: async ({ name }) => {
      done.push(`gate ${name}`);
      if (refusing !== 'gate') return ok(undefined);
      return fail({ kind: 'check', exitCode: 1, log: [], message: `gate '${name}' ended with 1` });
    },
  };
  const history = replayHistory([], 'f');
  const work = async (): Promise<string> => {
    const look = lookAtPublished(plan, world, () => false, never);
    const { found } = await findReusable(plan, { ...world, parts: { read: () => undefined }, look }, history, never);
    const context: RunContext = { ...world, fleet: fleet.value, found, look };
    return execute(plan, context, history, never, { publish: true, build: true });
  };
  const outcome = await clock.run(work());
  const failures = events.flatMap((event) =>
    event.type === 'task-failed' && 'message' in event.failure ? [event.failure.message] : [],
  );
  return { outcome, done, requests, failures };
}

/** What a plan says of it. */
async function explain(asked: Partial<Asked> = {}, checked: CheckNotes = state): Promise<Record<string, string>> {
  const plan = planOf({ ...usual, ...asked });
  const explained = await explainBuilds(
    plan,
    {
      ...{ registry: rememberedRegistry(registry.client()), registryAddress: 'r.example', checked },
      ...{ clock: createVirtualClock(0, () => 0.5), gateFiles: gateFileReader(join(root, 'config')) },
      readInputs: async () => ok({ dockerfile: 'FROM scratch\n', ignore: undefined, context: sha256('app') }),
      parts: { read: () => undefined, partsOf: () => undefined },
    },
    new AbortController().signal,
  );
  if (!explained.ok) throw new Error(JSON.stringify(explained.failure));
  return Object.fromEntries(explained.value.again);
}

const published = (): string[] => ['latest', 'latest-amd64'].map((tag) => registry.tags('o/app').get(tag) ?? 'absent');
const elsewhere = (): CheckNotes => openChecks(join(root, 'another machine'));
const nothing = { outcome: 'done', done: [], failures: [] };

describe('a gate that is new', () => {
  test.each(['here', 'elsewhere'])('is asked about what is published already, once, %s', async (where) => {
    await run();
    const before = published();
    const on = where === 'here' ? state : elsewhere();
    expect(await run({ gates: [scan] }, on)).toMatchObject({ outcome: 'done', done: ['audit', 'audit', 'gate scan'] });
    expect(await run({ gates: [scan] }, on)).toMatchObject(nothing);
    // A machine that knows of nothing finds it in the registry.
    expect(await run({ gates: [scan] }, openChecks(join(root, 'third')))).toMatchObject(nothing);
    expect(published()).toEqual(before);
  });

  test('and says no: the run fails, says what is published, and leaves it; so does the next', async () => {
    await run();
    const before = published();
    refusing = 'gate';
    for (const gates of [[scan], [scan]]) {
      const { outcome, failures } = await run({ gates });
      expect({ outcome, failures }).toEqual({
        outcome: 'failed',
        failures: [`gate 'scan' ended with 1: the image is published already, as o/app:latest (${before[0]})`],
      });
    }
    expect(published()).toEqual(before);
  });

  test('holds back a family that is published as a whole', async () => {
    await run({ publish: 'family' });
    refusing = 'gate';
    expect(await run({ publish: 'family', gates: [scan] })).toMatchObject({ outcome: 'failed' });
  });
});

test('a gate whose script was edited is another gate, and one whose script is the same is not', async () => {
  await run({ gates: [scan] });
  writeFileSync(join(root, 'config/other.sh'), 'exit 1\n');
  expect(await run({ gates: [{ ...scan, name: 'renamed' }] })).toMatchObject(nothing);
  writeFileSync(join(root, 'config/scan.sh'), 'exit 1\n');
  expect((await run({ gates: [scan] })).done).toContain('gate scan');
  expect(await run({ gates: [scan] })).toMatchObject(nothing);
});

test('gates that are there no more ask nothing', async () => {
  await run({ gates: [scan] });
  expect(await run()).toMatchObject(nothing);
  expect(await run({}, elsewhere())).toMatchObject(nothing);
});

describe('an audit that allows less', () => {
  const allowing: Partial<Asked> = { audit: { mode: 'stop', allow: ['/opt/firmware'] } };

  test.each([
    ['fewer files', allowing],
    ['no warnings', { audit: { mode: 'warn', allow: [] } }],
    ['what it did not look at', { audit: { mode: 'off', allow: [] } }],
  ] satisfies [string, Partial<Asked>][])('%s looks at what is published already', async (_, before) => {
    refusing = 'audit';
    expect((await run(before)).outcome).toBe('done');
    const tags = published();
    const { outcome, failures } = await run();
    expect(outcome).toBe('failed');
    expect(failures).toEqual([
      `app is published already, as o/app:latest (${tags[0]}): programs of another machine are in its layers`,
    ]);
    expect(published()).toEqual(tags);
    refusing = undefined;
    expect(await run()).toMatchObject({ outcome: 'done', done: ['audit', 'audit'] });
    expect(await run()).toMatchObject(nothing);
  });

  test.each([
    ['fewer files', allowing],
    ['what it did not look at', { audit: { mode: 'off', allow: [] } }],
  ] satisfies [string, Partial<Asked>][])(
    '%s is seen by jobs of a shared run, which have no state',
    async (_, before) => {
      const job = (asked?: Partial<Asked>) => run(asked, openChecks(join(root, `job ${Math.random()}`)), true);
      refusing = 'audit';
      expect((await job(before)).outcome).toBe('done');
      expect(await job(before)).toMatchObject(nothing);
      expect((await job()).outcome).toBe('failed');
      expect((await job()).outcome).toBe('failed');
      refusing = undefined;
      expect(await job()).toMatchObject({ outcome: 'done', done: ['audit', 'audit'] });
      expect(await job()).toMatchObject(nothing);
    },
  );

  test('by another list is looked up in the registry where this machine has noted nothing', async () => {
    await run({ audit: { mode: 'stop', allow: ['/a', '/b'] } });
    expect(await run({ audit: { mode: 'stop', allow: ['/b', '/a'] } }, elsewhere())).toMatchObject(nothing);
    expect((await run({ audit: { mode: 'stop', allow: ['/a'] } }, elsewhere())).done).toEqual(['audit', 'audit']);
  });
});

test('a test that is new is run in what is published already; if it says no, the run fails and nothing moves', async () => {
  await run();
  const before = published();
  refusing = 'test';
  expect(await run({ tests: ['true'] })).toMatchObject({ outcome: 'failed' });
  // Nor is the very image that failed carried forward.
  const carried = await run({ tests: ['true'], failedPlatform: 'carry' });
  expect(carried.outcome).toBe('failed');
  expect(published()).toEqual(before);
  refusing = undefined;
  expect((await run({ tests: ['true'] })).done).toEqual(['test true', 'test true']);
  expect(await run({ tests: ['true'] })).toMatchObject(nothing);
});

test('where a config asks for nothing but the defaults, nothing more is asked of the registry', async () => {
  await run();
  expect(await run()).toMatchObject({ ...nothing, requests: 5 });
  await run({ gates: [scan] });
  expect(await run({ gates: [scan] })).toMatchObject({ ...nothing, requests: 5 });
  expect(await run({ gates: [scan] }, elsewhere())).toMatchObject({ ...nothing, requests: 6 });
});

test('a plan says what will be checked again, and why', async () => {
  expect(await explain({ gates: [scan] })).toEqual({});
  await run({ gates: [scan] });
  expect(await explain({ gates: [scan] })).toEqual({});
  expect(await explain({ gates: [scan], tests: ['true'] })).toEqual({
    'test app linux/amd64': 'its image is there, and has not passed these commands',
    'test app linux/arm64': 'its image is there, and has not passed these commands',
  });
  expect(await explain({ gates: [scan, scan] })).toEqual({ 'publish app': 'gates changed' });
  expect(await explain({ gates: [scan], audit: { mode: 'stop', allow: ['/a'] } })).toEqual({
    'publish app': 'audit changed',
  });
  expect(await explain({ gates: [scan, scan] }, elsewhere())).toEqual({
    'publish app': 'nothing says that it passed what is asked of it now',
  });
  expect(await explain({}, elsewhere())).toEqual({});
});
