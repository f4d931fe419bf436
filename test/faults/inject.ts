// Brings a run's faults about when their time has come, and takes every one of them back.

import { tags } from './family.ts';
import { createRandom } from './random.ts';
import type { Rig } from './rig.ts';
import type { Fault, Matcher, Misbehaviour } from './schedule.ts';

/** A fault as it really was. */
export interface Injected {
  kind: Fault['kind'];
  /** What of, in a word or two. */
  detail: string;
  /** Ms since the run began; undefined where the run ended before its time came. */
  begunMs?: number;
  endedMs?: number;
  /** Requests hit, for faults of HTTP; 1 for others that came about. */
  hits: number;
}

export interface Away {
  registry: boolean;
  answers: boolean;
  disk: boolean;
}

export interface Injector {
  /** `events`: of the run's journal so far. */
  progress(events: number): void;
  /** What still held as the run ended: no registry to be reached, one that misbehaves, no disk. Ask before `lift`. */
  away(): Away;
  /** Ends all faults and waits until they are. */
  lift(): Promise<Injected[]>;
}

type Active = Injected & { fault: Fault; lift: (() => Promise<void> | void) | undefined; lifting?: Promise<void> };

export function createInjector(rig: Rig, faults: Fault[], seed: string): Injector {
  const started = Date.now();
  const active = faults
    .filter(({ kind }) => kind !== 'splitbuild-kill')
    .map((fault): Active => ({ fault, kind: fault.kind, detail: describe(fault), hits: 0, lift: undefined }));
  const timers: NodeJS.Timeout[] = [];
  const rules: Rule[] = [];
  const random = createRandom(`${seed}/proxy`);
  rig.proxy.decide = (request) => {
    for (const rule of [...rules])
      if (matches(rule.requests, request) && applies(rule, random.next())) return rule.misbehaviour;
    return undefined;
  };

  function end(one: Active): Promise<void> {
    one.lifting ??= (async () => {
      await one.lift?.();
      one.endedMs = Date.now() - started;
    })();
    return one.lifting;
  }

  function begin(one: Active): void {
    one.begunMs = Date.now() - started;
    one.lift = bringAbout(rig, one, rules, () => void end(one));
    timers.push(setTimeout(() => void end(one), one.fault.lastsMs));
  }

  const holds = (one: Active): boolean => one.begunMs !== undefined && one.endedMs === undefined;

  return {
    progress(events) {
      for (const one of active) {
        if (one.begunMs !== undefined || events < one.fault.at) continue;
        // Two faults of one machine or service come one after the other.
        const place = placeOf(one.fault);
        if (!active.some((other) => holds(other) && place !== undefined && placeOf(other.fault) === place)) begin(one);
      }
    },
    away() {
      const held = active.filter(holds).map(({ fault }) => fault);
      return {
        registry: held.some(
          (fault) =>
            fault.kind === 'registry-stop' ||
            fault.kind === 'registry-kill' ||
            (fault.kind === 'network-cut' && fault.host === 'registry'),
        ),
        answers: held.some((fault) => 'misbehaviour' in fault && fault.requests !== 'upload'),
        disk: held.some(({ kind }) => kind === 'disk-full'),
      };
    },
    async lift() {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(active.filter(({ begunMs }) => begunMs !== undefined).map(end));
      rig.proxy.decide = () => undefined;
      return active.map(({ kind, detail, begunMs, endedMs, hits }) => ({ kind, detail, begunMs, endedMs, hits }));
    },
  };
}

function placeOf(fault: Fault): string | undefined {
  switch (fault.kind) {
    case 'engine-kill':
    case 'engine-freeze':
      return `engine ${fault.host}`;
    case 'network-cut':
    case 'network-slow':
      return `${fault.kind} ${fault.host}`;
    case 'registry-stop':
    case 'registry-kill':
      return 'registry';
    case 'disk-full':
      return 'disk';
    default:
      return undefined;
  }
}

/** Gives what takes it back. */
function bringAbout(rig: Rig, one: Active, rules: Rule[], spent: () => void): () => Promise<void> | void {
  const { fault } = one;
  if (!('misbehaviour' in fault)) one.hits = 1;
  switch (fault.kind) {
    case 'engine-kill': {
      const engine = rig.engines[fault.host];
      const dead = engine.kill();
      return async () => {
        await dead;
        await engine.start();
      };
    }
    case 'engine-freeze': {
      const engine = rig.engines[fault.host];
      engine.pause();
      return () => engine.resume();
    }
    case 'network-cut': {
      const host = rig.hosts[fault.host];
      host.cut();
      return () => host.restore();
    }
    case 'network-slow': {
      const host = rig.hosts[fault.host];
      host.slow(fault.kilobits);
      return () => host.slow(0);
    }
    case 'registry-stop':
    case 'registry-kill': {
      const dead = fault.kind === 'registry-stop' ? rig.registry.stop() : rig.registry.kill();
      return async () => {
        await dead;
        await rig.registry.start();
      };
    }
    case 'disk-full':
      rig.fillDisk();
      return () => rig.emptyDisk();
    case 'splitbuild-kill':
      return () => undefined;
    default: {
      const rule: Rule = { ...fault, left: fault.times, toSkip: fault.skip, hit: () => (one.hits += 1), spent };
      rules.push(rule);
      return () => {
        const place = rules.indexOf(rule);
        if (place >= 0) rules.splice(place, 1);
      };
    }
  }
}

interface Rule {
  misbehaviour: Misbehaviour;
  requests: Matcher;
  probability: number;
  left: number;
  toSkip: number;
  hit(): void;
  /** Called when it has hit all that it is for. */
  spent(): void;
}

function applies(rule: Rule, chance: number): boolean {
  if (rule.left <= 0 || chance >= rule.probability) return false;
  if (rule.toSkip > 0) {
    rule.toSkip -= 1;
    return false;
  }
  rule.left -= 1;
  rule.hit();
  if (rule.left === 0) rule.spent();
  return true;
}

function matches(matcher: Matcher, { method, path }: { method: string; path: string }): boolean {
  switch (matcher) {
    case 'any':
      return true;
    case 'read':
      return method === 'GET' || method === 'HEAD';
    case 'upload':
      return path.includes('/blobs/uploads/');
    case 'manifest':
      return method === 'PUT' && path.includes('/manifests/');
    case 'tag':
      return method === 'PUT' && tags.some((tag) => path.endsWith(`/manifests/${tag}`));
  }
}

export function describe(fault: Fault): string {
  switch (fault.kind) {
    case 'engine-kill':
    case 'engine-freeze':
    case 'network-cut':
      return fault.host;
    case 'network-slow':
      return `${fault.host} to ${fault.kilobits} kbit/s`;
    case 'registry-stop':
    case 'registry-kill':
    case 'disk-full':
      return '';
    case 'splitbuild-kill':
      return `${fault.moment} ${fault.count === 'lines' ? 'line' : 'event'} ${fault.at}${fault.group ? ', its children too' : ''}`;
    default:
      return fault.probability < 1
        ? `${fault.probability} of ${fault.requests}`
        : `${fault.times} of ${fault.requests} after ${fault.skip}`;
  }
}
