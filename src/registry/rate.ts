// What each host may be asked, and when: a refusal for being asked too often makes every request to the host wait, fewer go at a time after
// it, and a budget that the host tells of (RateLimit headers, as Docker Hub and GitLab send them) is spent evenly, not run into.

import type { Clock } from '../clock.ts';
import { fail, ok, type Result } from '../failure.ts';
import { onAbort } from '../signals.ts';
import { limited, type Subject } from './refusal.ts';
import { backoff, parseRetryAfter } from './retry.ts';

export interface Asked extends Subject {
  method: string;
  path: string;
  /**
   * The body is a stream, which may itself wait for this host (a blob that is copied within a registry). Such a request waits until
   * the host may be asked again, but not for others to end: nobody who is waited for waits for a turn.
   */
  streams: boolean;
}

/** The right to send one request. */
export interface Turn {
  /** Once the answer's head is there, or none will come. */
  leave(answer?: { status: number; headers: Headers }): void;
}

export interface Gates {
  /** Waits until the host may be asked; fails where that takes longer than is waited. */
  enter(host: string, asked: Asked, signal: AbortSignal): Promise<Result<Turn>>;
}

type Headers = Record<string, string | string[] | undefined>;

/** What a host said of its limit. Times in ms, points in time since the epoch. */
interface Budget {
  limit: number | undefined;
  window: number | undefined;
  /** Less what was asked for since. */
  remaining: number;
  /** When it is full again, where the host says so. */
  reset: number | undefined;
  /** When the next one goes where nothing is left and no reset is known. */
  next: number;
  flying: number;
}

interface Gate {
  active: number;
  /** How many requests may be under way, and how many that may become. */
  width: number;
  most: number;
  /** Since the width changed. */
  successes: number;
  /** Nothing is sent before (ms since the epoch), and why. */
  until: number;
  status: number;
  /** Refusals without an answer between them. What was sent before one says nothing about the time after it. */
  refusals: number;
  epoch: number;
  waiting: (() => void)[];
  budgets: Map<string, Budget>;
}

/** Requests that have no answer yet; bodies on their way, which may take long, are not counted. So many at first, and for a host that refused. */
export const usual = 8;
/** For one that answers all: what is far away is only kept busy by many at a time. */
export const widest = 32;
/** Answers without a refusal until a host gets more. */
const known = 4 * usual;
/** Ms between requests where nothing is left and it isn't known of how many in what time. */
const slowest = 60_000;

export function createGates(clock: Clock, maxWait: number): Gates {
  const gates = new Map<string, Gate>();

  const gateOf = (host: string): Gate => {
    const known = gates.get(host);
    if (known) return known;
    const gate: Gate = {
      active: 0,
      width: usual,
      most: widest,
      successes: 0,
      until: 0,
      status: 429,
      refusals: 0,
      epoch: 0,
      waiting: [],
      budgets: new Map(),
    };
    gates.set(host, gate);
    return gate;
  };

  /** Ms that the host's budget makes this request wait; what it takes of the budget is taken. */
  function reserve(budget: Budget): number {
    const now = clock.now();
    if (budget.remaining > 0) {
      budget.remaining -= 1;
      return 0;
    }
    if (budget.reset !== undefined) return Math.max(0, budget.reset - now);
    const pace = budget.window && budget.limit ? budget.window / budget.limit : slowest;
    const at = Math.max(budget.next, now + pace);
    if (at - now <= maxWait) budget.next = at + pace;
    return at - now;
  }

  function learn(gate: Gate, kind: string, headers: Headers): Budget | undefined {
    const said = readBudget(headers, clock.now());
    if (!said) return gate.budgets.get(kind);
    const flying = gate.budgets.get(kind)?.flying ?? 0;
    const next = gate.budgets.get(kind)?.next ?? 0;
    const budget: Budget = { ...said, remaining: Math.max(0, said.remaining - flying), flying, next };
    gate.budgets.set(kind, budget);
    return budget;
  }

  function leave(gate: Gate, kind: string, epoch: number, answer: { status: number; headers: Headers }): void {
    const { status, headers } = answer;
    const budget = learn(gate, kind, headers);
    const asked = parseRetryAfter(first(headers['retry-after']), clock.now());
    if (status === 429 || (status === 503 && asked !== undefined)) {
      if (epoch === gate.epoch) {
        gate.epoch += 1;
        gate.refusals += 1;
        gate.most = usual;
        gate.width = Math.max(1, Math.floor(Math.min(gate.width, usual) / 2));
        gate.successes = 0;
      }
      const reset = budget?.remaining === 0 && budget.reset !== undefined ? budget.reset - clock.now() : undefined;
      const until = clock.now() + (asked ?? reset ?? backoff(gate.refusals, clock));
      if (until > gate.until) {
        gate.until = until;
        gate.status = status;
      }
      return;
    }
    if (status >= 500 || epoch !== gate.epoch) return;
    gate.refusals = 0;
    gate.successes += 1;
    if (gate.width >= gate.most) return;
    // One that refused gets one more after each round of answers; one that never did, once it is known, with each.
    const refusedOnce = gate.most === usual;
    if (gate.successes < (refusedOnce ? gate.width : known)) return;
    gate.width += 1;
    if (refusedOnce) gate.successes = 0;
  }

  return {
    enter: async (host, asked, signal) => {
      const gate = gateOf(host);
      const kind = kindOf(asked.path);
      // Docker Hub tells the state of the budget in answers to HEAD, which don't count.
      const budget = asked.method === 'HEAD' ? undefined : gate.budgets.get(kind);
      if (budget) {
        const wait = reserve(budget);
        if (wait > maxWait) return limited(asked, { wait, limit: budget.limit, window: budget.window });
        if (wait > 0) await clock.sleep(wait, signal);
      }
      const arrived = clock.now();
      for (;;) {
        if (signal.aborted) return fail({ kind: 'cancelled' });
        const wait = gate.until - clock.now();
        if (wait > 0) {
          if (clock.now() - arrived + wait > maxWait) return limited(asked, { wait, status: gate.status });
          await clock.sleep(wait, signal);
        } else if (!asked.streams && gate.active >= gate.width) await inTurn(gate.waiting, signal);
        else break;
      }
      const { epoch } = gate;
      if (!asked.streams) gate.active += 1;
      if (budget) budget.flying += 1;
      return ok({
        leave: (answer) => {
          if (!asked.streams) gate.active -= 1;
          const current = gate.budgets.get(kind);
          if (budget && current) current.flying = Math.max(0, current.flying - 1);
          if (answer) leave(gate, kind, epoch, answer);
          for (const wake of gate.waiting.splice(0, Math.max(0, gate.width - gate.active))) wake();
        },
      });
    },
  };
}

/** Registries count pulls, so that the manifests have a budget of their own (docs of Docker Hub: "usage and limits"). */
function kindOf(path: string): string {
  if (path.includes('/manifests/')) return 'manifests';
  return path.includes('/blobs/') ? 'blobs' : 'others';
}

/** Resolves when it is woken, or the signal is aborted. */
function inTurn(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      letGo();
      resolve();
    };
    const letGo = onAbort(signal, () => {
      waiting.splice(waiting.indexOf(wake), 1);
      wake();
    });
    waiting.push(wake);
  });
}

/**
 * `RateLimit-Limit: 100;w=21600`, `RateLimit-Remaining: 76;w=21600` (the window in seconds: draft-ietf-httpapi-ratelimit-headers-02, as
 * Docker Hub has it) and `RateLimit-Reset`, seconds from now, or since the epoch as GitLab has it.
 */
function readBudget(
  headers: Headers,
  now: number,
): Pick<Budget, 'limit' | 'window' | 'remaining' | 'reset'> | undefined {
  const remaining = count(headers['ratelimit-remaining']);
  if (remaining === undefined) return undefined;
  const seconds = count(headers['ratelimit-reset']);
  const windowed = /;\s*w=(\d{1,9})\b/.exec(first(headers['ratelimit-limit']) ?? '')?.[1];
  const reset = seconds === undefined ? undefined : seconds > 1e9 ? seconds * 1000 : now + seconds * 1000;
  return {
    limit: count(headers['ratelimit-limit']),
    window: windowed === undefined ? undefined : Number(windowed) * 1000,
    remaining,
    reset,
  };
}

function count(header: string | string[] | undefined): number | undefined {
  const digits = /^\s*(\d{1,12})\s*(?:[;,]|$)/.exec(first(header) ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

function first(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
