// A schedule: what goes wrong in the runs of one build of the family, and when. Made from a seed and a number alone.
import { createRandom, type Random } from './random.ts';

export const engineHosts = ['one', 'two', 'three'] as const;
export type EngineHost = (typeof engineHosts)[number];
export type AnyHost = EngineHost | 'registry';

/** Which requests an HTTP fault is for. `tag` is a PUT of a manifest to a tag that people use. */
export type Matcher = 'any' | 'read' | 'upload' | 'manifest' | 'tag';

/** What the proxy does to a request. */
export type Misbehaviour =
  /** Answers itself; `retryAfter` in seconds. */
  | { do: 'answer'; status: number; retryAfter?: number }
  /** Resets the connection; the registry never hears of it. */
  | { do: 'reset' }
  /** The registry does what it is asked, and the answer never arrives. */
  | { do: 'lose' }
  /** Half of the request's body, or of the answer's, and then the connection is reset. */
  | { do: 'truncate' }
  | { do: 'delay'; ms: number };

export type Action =
  | { kind: 'engine-kill' | 'engine-freeze'; host: EngineHost }
  | { kind: 'network-cut'; host: AnyHost }
  | { kind: 'network-slow'; host: AnyHost; kilobits: number }
  | { kind: 'registry-stop' | 'registry-kill' }
  | { kind: 'disk-full' }
  /** SIGKILL of splitbuild itself as event `at` is written to its journal; `group`: its children die with it. */
  | { kind: 'splitbuild-kill'; moment: 'before' | 'torn' | 'after'; group: boolean; count: 'events' | 'lines' }
  | {
      kind: 'http-500' | 'http-503' | 'http-429' | 'http-reset' | 'http-lost' | 'http-truncated' | 'http-delay';
      misbehaviour: Misbehaviour;
      requests: Matcher;
      probability: number;
      /** Requests that it leaves alone first, and how many it hits at most. */
      skip: number;
      times: number;
    };

export type Kind = Action['kind'];

/** Begins when the run's journal has `at` events (0: with the run); is lifted after `lastsMs`, or when the run has ended. */
export type Fault = Action & { at: number; lastsMs: number };

export interface Schedule {
  seed: number;
  number: number;
  publish: 'image' | 'family';
  /** Run with --json, or as in a CI log. */
  json: boolean;
  /** The registry's proxy, when no registry answers: resets, or says 502 as a load balancer does. */
  whenDown: 'reset' | 502;
  /** The faults of each run that has some; runs without faults follow. */
  runs: Fault[][];
}

const others = [
  'engine-kill',
  'http-503',
  'registry-kill',
  'engine-freeze',
  'http-reset',
  'network-cut',
  'http-lost',
  'disk-full',
  'http-429',
  'registry-stop',
  'http-truncated',
  'network-slow',
  'http-500',
  'http-delay',
] as const;

export const kinds: readonly Kind[] = ['splitbuild-kill', ...others];

/**
 * `events` is how many events, output aside, the journal of an undisturbed run has. Every second schedule kills splitbuild at one of
 * them, another one each time until all have been; those between go through the other kinds. `number` counts from 1.
 */
export function makeSchedule(seed: number, number: number, events: number): Schedule {
  const random = createRandom(`${seed}/${number}`);
  const runs: Fault[][] = [];
  if (number % 2 === 0) {
    const sweep = number / 2 - 1;
    const first: Fault[] = [kill(random, 1 + ((sweep * stride(events)) % events))];
    if (random.chance(0.3)) first.push(make(random, random.pick(others), events));
    runs.push(first);
    // What recovers from a kill may be killed as well.
    if (random.chance(0.4)) runs.push([kill(random, random.whole(1, random.chance(0.5) ? 12 : events))]);
  } else {
    const first = [make(random, others[((number - 1) / 2) % others.length] ?? others[0], events)];
    for (let more = random.pick([0, 0, 1, 1, 2]); more > 0; more -= 1)
      first.push(make(random, random.pick(others), events));
    if (random.chance(0.15)) first.push({ ...kill(random, random.whole(1, events * 8)), count: 'lines' });
    runs.push(first);
    if (random.chance(0.2)) runs.push([make(random, random.pick(others), events)]);
  }
  return {
    seed,
    number,
    publish: number % 4 < 2 ? 'image' : 'family',
    json: random.chance(0.5),
    whenDown: random.chance(0.5) ? 'reset' : 502,
    runs,
  };
}

/** The golden section of them, or the next number that leads through all: few schedules are spread over the whole run as well. */
function stride(events: number): number {
  let step = Math.max(1, Math.round(events * 0.618));
  while (gcd(step, events) !== 1) step += 1;
  return step;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function kill(random: Random, at: number): Extract<Action, { kind: 'splitbuild-kill' }> & Fault {
  const moment = random.pick(['before', 'torn', 'after']);
  return { kind: 'splitbuild-kill', moment, group: random.chance(0.3), count: 'events', at, lastsMs: 0 };
}

function make(random: Random, kind: (typeof others)[number], events: number): Fault {
  const when = {
    // A third from the start on, when builders are being looked at; the rest anywhere, publishing included.
    at: random.chance(0.3) ? random.whole(0, 2) : random.whole(0, events - 2),
    lastsMs: random.pick([random.whole(300, 2000), random.whole(1000, 6000), random.whole(6000, 15_000)]),
  };
  switch (kind) {
    case 'engine-kill':
    case 'engine-freeze':
      return { kind, host: random.pick(engineHosts), ...when };
    case 'network-cut':
      return { kind, host: random.pick([...engineHosts, 'registry']), ...when };
    case 'network-slow':
      return {
        kind,
        host: random.pick([...engineHosts, 'registry']),
        kilobits: random.pick([500, 2000, 8000]),
        ...when,
      };
    case 'registry-stop':
    case 'registry-kill':
    case 'disk-full':
      return { kind, ...when };
    default: {
      const aimed = aim(random);
      // Chosen requests are waited for, and so are the moves of tags, which are over in a moment.
      const chosen =
        aimed.probability === 1 || aimed.requests === 'tag' ? { at: random.whole(0, 20), lastsMs: 60_000 } : {};
      return { kind, misbehaviour: misbehave(random, kind), ...aimed, ...when, ...chosen };
    }
  }
}

function misbehave(random: Random, kind: Extract<Kind, `http-${string}`>): Misbehaviour {
  switch (kind) {
    case 'http-500':
      return { do: 'answer', status: 500 };
    case 'http-503':
      return { do: 'answer', status: 503, ...(random.chance(0.5) ? { retryAfter: random.pick([0, 1, 2]) } : {}) };
    case 'http-429':
      return { do: 'answer', status: 429, retryAfter: random.pick([0, 1, 3]) };
    case 'http-reset':
      return { do: 'reset' };
    case 'http-lost':
      return { do: 'lose' };
    case 'http-truncated':
      return { do: 'truncate' };
    case 'http-delay':
      return { do: 'delay', ms: random.pick([200, 1000, 4000]) };
  }
}

/** A share of the requests for a while, or a few chosen ones whenever they come. */
function aim(random: Random): { requests: Matcher; probability: number; skip: number; times: number } {
  const requests = random.pick(['any', 'read', 'upload', 'manifest', 'tag', 'tag']);
  return random.chance(0.5)
    ? { requests, probability: random.pick([0.1, 0.2, 0.5]), skip: 0, times: 60 }
    : { requests, probability: 1, skip: random.whole(0, 12), times: random.pick([1, 2, 8]) };
}
