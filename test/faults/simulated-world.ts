// The world of a simulated schedule: three hosts with simulated engines, a registry in memory, one clock for all, and journals that
// outlive the processes which write them. What runs in it is the executor itself.

import { createSimulatedEngine, type SimulatedEngine } from '../../src/engine/simulated.ts';
import { type Failure, fail, ok, type Result } from '../../src/failure.ts';
import { assembleFleet } from '../../src/fleet/fleet.ts';
import { usualHealth } from '../../src/fleet/health.ts';
import { isManifest } from '../../src/image/store.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { rememberedRegistry } from '../../src/registry/remembered.ts';
import {
  createSimulatedRegistry,
  type Fault,
  type Operation,
  type SimulatedRegistry,
} from '../../src/registry/simulated.ts';
import type { RunContext } from '../../src/run/context.ts';
import type { Event } from '../../src/run/event.ts';
import { execute, type Outcome } from '../../src/run/execute.ts';
import { type History, replayHistory } from '../../src/run/journal.ts';
import type { KeptParts, PartsStore } from '../../src/run/keys-parts.ts';
import { findReusable } from '../../src/run/keys-survey.ts';
import { lookAtPublished } from '../../src/run/published.ts';
import { createVirtualClock, type VirtualClock } from '../../src/virtual-clock.ts';
import { platforms, repositoryOf, tag } from './family.ts';
import { guard, guardFleet } from './mortal.ts';
import { createRandom } from './random.ts';
import { inputsOf, type Policies, planOf } from './simulated-plan.ts';

/** What goes wrong in one run. Times are ms after its beginning. */
export interface Trouble {
  /** The process dies as it writes this event (from 1). */
  dieAt?: number;
  /** The user interrupts at this event. */
  interruptAt?: number;
  /** The disk is full from this event on. */
  fullAt?: number;
  /** Of the registry's requests, how often each goes wrong. */
  registry?: { chance: number; kinds: ('before' | 'after' | 'silence' | 'slow')[]; from: number; to: number };
  engines: { host: string; from: number; to: number; state: 'dead' | 'frozen' }[];
  /** Builds that really fail, by task. */
  failing: ReadonlySet<string>;
  /** Tests that say no, by image. */
  untested: ReadonlySet<string>;
  gateSaysNo: boolean;
  /** Builds whose engine has something of another machine in its cache, or (`always`) whose Dockerfile has. */
  stray?: { build: string; always: boolean };
  /** Somebody else moves the tag of this image at that time. */
  rival?: { image: string; at: number };
}

export interface EndedRun {
  outcome: Outcome | 'killed';
  events: Event[];
  /** Faults that really befell it, by kind. */
  injected: Map<string, number>;
}

export interface World {
  registry: SimulatedRegistry;
  clock: VirtualClock;
  /** Texts of the journals, oldest first. */
  journals: string[];
  run(version: number, trouble: Trouble): Promise<EndedRun>;
}

const registryAddress = 'registry.example:5000';
const hosts = ['one', 'two', 'three'];

export const noTrouble: Trouble = { engines: [], failing: new Set(), untested: new Set(), gateSaysNo: false };

export function createWorld(seed: string, policies: Policies): World {
  const random = createRandom(`${seed}/world`);
  const clock = createVirtualClock(Date.parse('2026-01-01T00:00:00Z'), random.next);
  const registry = createSimulatedRegistry({ keepsTags: random.chance(0.5) });
  const plan = planOf(policies);
  const journals: string[] = [];
  const noted = new Map<string, KeptParts>();

  async function run(version: number, trouble: Trouble): Promise<EndedRun> {
    const number = journals.length;
    const id = `run${String(number).padStart(3, '0')}`;
    const injected = new Map<string, number>();
    const inject = (kind: string): void => void injected.set(kind, (injected.get(kind) ?? 0) + 1);
    const begun = clock.now();
    const events: Event[] = [];
    const stop = new AbortController();
    let dead = false;
    journals.push('');

    /** Everything outside of a dead process stands still for it. */
    const alive = <T>(value: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        if (dead) return;
        value.then(
          (done) => !dead && resolve(done),
          (error: unknown) => !dead && reject(error),
        );
      });
    let die: () => void = () => undefined;
    const killed = new Promise<'killed'>((resolve) => {
      die = () => {
        dead = true;
        resolve('killed');
      };
    });

    const emit = (event: Event): void => {
      if (dead) return;
      const full = trouble.fullAt !== undefined && events.length + 1 >= trouble.fullAt;
      events.push(event);
      if (full) {
        if (!stop.signal.aborted) inject('disk-full');
        stop.abort();
      } else journals[number] += `${JSON.stringify(event)}\n`;
      if (events.length === trouble.interruptAt) {
        inject('interrupt');
        stop.abort();
      }
      if (events.length === trouble.dieAt) {
        inject('kill');
        // What was being written may be torn.
        if (random.chance(0.2)) journals[number] = (journals[number] ?? '').slice(0, -random.whole(1, 30));
        die();
      }
    };

    const meet = async (operation: Operation): Promise<Fault> => {
      const { registry: sick } = trouble;
      const since = clock.now() - begun;
      if (!sick || since < sick.from || since > sick.to || !random.chance(sick.chance)) return undefined;
      const kind = random.pick(sick.kinds as ['before', ...'before'[]]) as 'before' | 'after' | 'silence' | 'slow';
      inject(`registry-${kind}`);
      if (kind === 'slow') {
        await clock.sleep(random.whole(10, 3000), stop.signal);
        return undefined;
      }
      // A client gives up on a silent registry: what it then says is what a broken connection is.
      if (kind === 'silence') await clock.sleep(30_000, stop.signal);
      return { when: kind === 'after' && operation !== 'get' ? 'after' : 'before', failure: passing(operation) };
    };

    const engines = new Map(hosts.map((name) => [name, createHost(name, version, trouble, meet, inject)]));
    const opening = assembleFleet(
      hosts.map((name) => ({
        name,
        endpoint: `sim://${name}`,
        open: async (signal: AbortSignal) => {
          const engine = engines.get(name);
          if (!engine) throw new Error(name);
          const info = await engine.probe(signal);
          if (!info.ok) return info;
          const builder = {
            name,
            endpoint: `sim://${name}`,
            engine,
            info: info.value,
            native: platforms,
            emulated: [],
            slots: 2,
            registryAddress,
          };
          return ok({ builder, close: async () => undefined });
        },
      })),
      plan.tasks.flatMap((task) => (task.kind === 'publish' ? [] : [{ platform: task.platform, mode: task.mode }])),
      { clock, health: usualHealth },
      stop.signal,
    );
    const fleet = await clock.run(opening);
    if (!fleet.ok) throw new Error(JSON.stringify(fleet.failure));
    const schedule = [...plagueEngines(trouble, engines, inject), meddle(trouble, id, inject)];
    const context: RunContext = {
      ...{ id, shared: false, registryAddress, plainHttp: true, embedded: false, force: false },
      registry: rememberedRegistry(guard(registry.client(meet), alive)),
      fleet: guardFleet(fleet.value, alive),
      emit,
      clock: { ...clock, sleep: (ms, signal) => alive(clock.sleep(ms, signal)) },
      env: {},
      readInputs: async (task) => alive(Promise.resolve(ok(inputsOf(task.image, version)))),
      audit: ({ repository, descriptor }) => alive(findStray(repository, descriptor.digest)),
      runGate: async () =>
        alive(Promise.resolve(trouble.gateSaysNo ? fail(refusal('the gate says no')) : ok(undefined))),
    };
    const history = replayHistory(journals.slice(0, number), plan.family);
    const outcome = await clock.run(Promise.race([perform(plan, context, history, stop.signal), killed]));
    stop.abort();
    dead = true;
    clock.forget();
    void Promise.allSettled(schedule);
    return { outcome, events, injected };
  }

  /** As the command does it: what is there is looked for first, with what the machine has noted of its builds. */
  async function perform(plan: Plan, context: RunContext, history: History, signal: AbortSignal): Promise<Outcome> {
    const parts: PartsStore = {
      read: ({ id }) => noted.get(id),
      keep: async ({ id }, kept) => void noted.set(id, kept),
    };
    const settled = history.open.length === 0;
    const look = settled ? lookAtPublished(plan, context, (task) => noted.has(task.id), signal) : undefined;
    const { found } = await findReusable(plan, { ...context, parts, look }, history, signal);
    const run: RunContext = { ...context, found, ...(look ? { look } : {}), keepParts: parts.keep };
    return execute(plan, run, history, signal, { publish: true, build: true });
  }

  /** The audit of this world: it looks for the one thing that can stray into a layer. */
  async function findStray(repository: string, digest: string): Promise<Result<string[]>> {
    const client = registry.client();
    const never = new AbortController().signal;
    const at = { registry: registryAddress, repository };
    const manifest = await client.getManifest({ ...at, digest }, never);
    if (!manifest.ok || !isManifest(manifest.value)) return ok([]);
    const layer = await client.readBlob(at, manifest.value.content.layers[0]?.digest ?? '', never);
    return ok(
      layer.ok && Buffer.from(layer.value).includes('of another machine') ? ['something of another machine'] : [],
    );
  }

  function createHost(
    name: string,
    version: number,
    trouble: Trouble,
    meet: (operation: Operation) => Promise<Fault>,
    inject: (kind: string) => void,
  ): SimulatedEngine {
    return createSimulatedEngine({
      name,
      machine: { os: 'linux', architecture: 'amd64' },
      cpus: 2,
      clock,
      registry: registry.client(meet),
      onBuild({ platform, reference, noCache }) {
        const build = `${/faults\/(\w+):/.exec(reference ?? '')?.[1]} ${platform.architecture}`;
        const failing = trouble.failing.has(build);
        if (failing) inject('build-fails');
        const { stray } = trouble;
        const strays = stray?.build === build && (stray.always || !noCache);
        if (strays) inject('stray');
        return {
          durationMs: 2000 + random.whole(0, 20_000),
          ...(failing
            ? { failure: { kind: 'build', exitCode: 1, log: [], message: `${build} ${version} fails` } }
            : {}),
          ...(strays ? { stray: 'of another machine' } : {}),
        };
      },
      onRun({ reference }) {
        const image = /faults\/(\w+)@/.exec(reference)?.[1] ?? '';
        if (!trouble.untested.has(image)) return undefined;
        inject('test-fails');
        return refusal(`${image} does not pass`);
      },
    });
  }

  function plagueEngines(
    trouble: Trouble,
    engines: Map<string, SimulatedEngine>,
    inject: (kind: string) => void,
  ): Promise<void>[] {
    const never = new AbortController().signal;
    return trouble.engines.map(async ({ host, from, to, state }) => {
      await clock.sleep(from, never);
      engines.get(host)?.become(state);
      inject(`engine-${state}`);
      await clock.sleep(to - from, never);
      engines.get(host)?.become('well');
    });
  }

  /** Somebody else publishes: the tag of an image points at something of theirs. */
  async function meddle({ rival }: Trouble, run: string, inject: (kind: string) => void): Promise<void> {
    if (!rival) return;
    const never = new AbortController().signal;
    await clock.sleep(rival.at, never);
    const client = registry.client();
    const repository = { registry: registryAddress, repository: repositoryOf(rival.image) };
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.index.v1+json',
        manifests: [],
        annotations: { by: run },
      }),
    );
    await client.putManifest({ ...repository, tag }, bytes, 'application/vnd.oci.image.index.v1+json', never);
    inject('rival');
  }

  return { registry, clock, journals, run };
}

function passing(operation: Operation): Failure {
  return { kind: 'registry', transient: true, status: 503, message: `${operation}: 503 Service Unavailable` };
}

function refusal(message: string): Failure {
  return { kind: 'check', exitCode: 1, log: [], message };
}
