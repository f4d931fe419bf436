// The scripts that a job runs, in order: commands put in, parameters of commands filled in, those of the job left as symbols.
import { posix } from 'node:path';
import type { Path } from '../parse.ts';
import type { Executor, ReadPipeline, Step } from './circleci-schema.ts';
import { isArch } from './references.ts';
import { concrete, symbol } from './symbols.ts';

export interface Script {
  text: string;
  /** Line of the file that the text begins in. */
  line: number;
  env: Record<string, string>;
  cwd: string;
  /** Of the job itself, not of a command that jobs share. */
  own: boolean;
}

export interface Steps {
  scripts: Script[];
  /** Steps that are neither known nor without meaning for images: an orb's. */
  unknown: { text: string; line: number }[];
}

/** Values of what stands between `<<` and `>>`: `parameters.tag`, `pipeline.git.branch`. */
export type Lookup = (name: string) => unknown;

const reference = /<<\s*([\w.-]+)\s*>>/g;
const meaningless =
  /^(checkout|setup_remote_docker|add_ssh_keys|persist_to_workspace|attach_workspace|store_artifacts|store_test_results|restore_cache|save_cache|[\w-]+\/(install\S*|setup\S*|check|notify|login|docker-login|cli))$/;

/** Puts values in for references, as CircleCI does before anything runs: text for text. */
export function fillIn(text: string, lookup: Lookup): string {
  return text.replace(reference, (whole, name: string) => {
    const value = lookup(name);
    return value === undefined ? whole : typeof value === 'object' ? '' : String(value);
  });
}

/** What the names of `pipeline` give, and those of a job's parameters, as symbols where a symbol can stand for the value. */
export function jobLookup(
  read: ReadPipeline,
  params: Readonly<Record<string, string>>,
  env: ReadonlyMap<string, string>,
): Lookup {
  return (name) => {
    const [top, ...rest] = name.split('.');
    const key = rest.join('.');
    if (top === 'parameters') {
      const value = params[key];
      // A value of several words is split by the shell, and the name of a platform is what legs differ by: they stay no symbols.
      return value !== undefined && (/[\s;&|<>"']/.test(value) || isArch(value)) ? value : symbol('param', key);
    }
    switch (name) {
      case 'pipeline.git.branch':
        return env.get('CIRCLE_BRANCH') ?? '';
      case 'pipeline.git.tag':
        return env.get('CIRCLE_TAG') ?? '';
      case 'pipeline.git.revision':
        return symbol('config', 'commit');
      default:
    }
    if (name.startsWith('pipeline.parameters.')) return read.pipeline.parameters?.[name.slice(20)]?.default ?? '';
    return symbol('output', rest.at(-1) ?? name);
  };
}

export function executorOf(read: ReadPipeline, jobName: string): Executor {
  const job = read.pipeline.jobs[jobName] ?? {};
  const name = typeof job.executor === 'string' ? job.executor : job.executor?.name;
  const named = name === undefined ? undefined : read.pipeline.executors?.[name];
  const both: Executor = {
    ...named,
    ...Object.fromEntries(Object.entries(job).filter(([, value]) => value !== undefined)),
  };
  const machine = typeof both.machine === 'object' ? both.machine : null;
  return both.resource_class === undefined && machine?.resource_class !== undefined
    ? { ...both, resource_class: machine.resource_class }
    : both;
}

export function readSteps(
  read: ReadPipeline,
  jobName: string,
  lookup: Lookup,
  params: Readonly<Record<string, string>>,
): Steps {
  const found: Steps = { scripts: [], unknown: [] };
  const executor = executorOf(read, jobName);
  const job = read.pipeline.jobs[jobName];
  const base = absolute(fillIn(executor.working_directory ?? '.', lookup), `${home}/project`);
  const checkedOut = job?.steps?.flatMap((step) => checkoutPath(step) ?? [])[0];
  const root = checkedOut === undefined ? base : absolute(fillIn(checkedOut, lookup), base);
  /** From the top of the checkout; the whole path of what lies outside. */
  const folder = (text: string | undefined): string => {
    const whole = absolute(fillIn(text ?? '.', lookup), base);
    const inside = posix.relative(root, whole);
    return inside.startsWith('..') ? whole.slice(1) : inside;
  };
  const env = { ...executor.docker?.[0]?.environment, ...executor.environment };

  const walk = (steps: readonly Step[], path: Path, scope: Lookup, own: boolean, depth: number): void => {
    for (const [index, step] of steps.entries()) one(step, [...path, index], scope, own, depth);
  };
  const one = (step: Step, path: Path, scope: Lookup, own: boolean, depth: number): void => {
    if (depth > 10) return;
    const [name = '', given] = typeof step === 'string' ? [step, undefined] : (Object.entries(step)[0] ?? []);
    const map: Record<string, unknown> = typeof given === 'object' && given !== null ? { ...given } : {};
    const list = /^<<\s*parameters\.([\w-]+)\s*>>$/.exec(name);
    if (list) {
      const value = scope(`parameters.${list[1]}`);
      if (Array.isArray(value)) walk(value.filter(isStep), path, scope, own, depth + 1);
      return;
    }
    if (name === 'run' || name === 'deploy') {
      const command = typeof given === 'string' ? given : map.command;
      if (typeof command !== 'string') return;
      const at: Path = typeof given === 'string' ? [...path, name] : [...path, name, 'command'];
      const spot = read.parsed.spot(at);
      const block = spot && /^[|>]/.test(read.parsed.text.slice(spot.value.start, spot.value.start + 1));
      const more =
        typeof map.environment === 'object' && map.environment !== null ? Object.entries(map.environment) : [];
      found.scripts.push({
        text: fillIn(command, scope),
        line: read.lineOf(at) + (block ? 1 : 0),
        env: Object.fromEntries(
          [...Object.entries(env), ...more].map(([key, value]) => [key, fillIn(String(value), scope)]),
        ),
        cwd: folder(typeof map.working_directory === 'string' ? map.working_directory : undefined),
        own,
      });
      return;
    }
    if (name === 'when' || name === 'unless') {
      const holds = truth(map.condition, (text) => concrete(fillIn(text, scope), params));
      if (holds !== (name === 'unless') && Array.isArray(map.steps))
        walk(map.steps.filter(isStep), [...path, name, 'steps'], scope, own, depth + 1);
      return;
    }
    const command = read.pipeline.commands?.[name];
    if (!command) {
      if (!meaningless.test(name)) found.unknown.push({ text: name, line: read.lineOf(path) });
      return;
    }
    const inner: Lookup = (wanted) => {
      const key = /^parameters\.(.+)$/.exec(wanted)?.[1];
      if (key === undefined) return scope(wanted);
      const value = map[key] ?? command.parameters?.[key]?.default;
      return typeof value === 'string' ? fillIn(value, scope) : (value ?? '');
    };
    walk(command.steps, ['commands', name, 'steps'], inner, false, depth + 1);
  };
  walk(job?.steps ?? [], ['jobs', jobName, 'steps'], lookup, true, 0);
  return found;
}

const home = '/home/circleci';

function absolute(path: string, from: string): string {
  return posix.resolve(from, path.replace(/^~(?=\/|$)/, home));
}

/** Where a step checks the project out to, if it says so. */
function checkoutPath(step: Step): string | undefined {
  const given = typeof step === 'string' ? undefined : step.checkout;
  return typeof given === 'object' && given !== null && 'path' in given && typeof given.path === 'string'
    ? given.path
    : undefined;
}

function isStep(value: unknown): value is Step {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && !Array.isArray(value));
}

/** A logic statement of CircleCI; what is not understood holds. */
export function truth(condition: unknown, resolve: (text: string) => string): boolean {
  if (typeof condition === 'string') return !/^(|false|0|null)$/.test(resolve(condition));
  if (typeof condition !== 'object' || condition === null) return Boolean(condition);
  const [operator, operand] = Object.entries(condition)[0] ?? [];
  const list = Array.isArray(operand) ? operand : [operand];
  if (operator === 'and') return list.every((item) => truth(item, resolve));
  if (operator === 'or') return list.some((item) => truth(item, resolve));
  if (operator === 'not') return !truth(operand, resolve);
  if (operator === 'equal') return new Set(list.map((item) => resolve(String(item)))).size === 1;
  if (operator === 'matches' && typeof operand === 'object' && operand !== null) {
    const { pattern, value }: { pattern?: unknown; value?: unknown } = operand;
    try {
      return new RegExp(String(pattern)).test(resolve(String(value)));
    } catch {
      return true;
    }
  }
  return true;
}
