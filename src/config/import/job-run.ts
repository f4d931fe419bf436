// What one job does to images when a workflow starts it: the images that it pushes and where each comes from, what it saves and uploads.
import { formatPlatform, parsePlatform } from '../../image/platform.ts';
import { type Act, type Build, readCall } from './acts.ts';
import type { ReadPipeline } from './circleci-schema.ts';
import { executorOf, fillIn, jobLookup, readSteps } from './circleci-steps.ts';
import type { Invocation, Trigger } from './circleci-workflows.ts';
import { splitReference } from './references.ts';
import { type Call, expandWord, type Machine } from './shell-expand.ts';
import { runShell } from './shell-run.ts';
import { quotedParts } from './shell-words.ts';
import { concrete, hasSymbol, symbol } from './symbols.ts';

export type Origin =
  | { kind: 'build'; build: Build }
  /** The commands that were there to make it; `product` is the reference that they made, before it was tagged. */
  | { kind: 'script'; words: string[][]; cwd: string; product: string }
  /** Pulled or copied from. */
  | { kind: 'reference'; from: string }
  | { kind: 'join'; from: string[] };

export interface Output {
  reference: string;
  origin: Origin;
  line: number;
}

export interface Save {
  reference: string;
  /** Absolute. */
  file: string;
  /** Image that it is, before it was tagged for the file. */
  source: string;
  platform?: string;
  line: number;
}

export interface JobRun {
  job: string;
  invocation: Invocation;
  params: Record<string, string>;
  /** Of its machine. */
  platform: string;
  /** Undefined where it names none. */
  resourceClass?: string;
  clones: Extract<Act, { kind: 'clone' }>[];
  outputs: Output[];
  pulls: string[];
  saves: Save[];
  uploads: Extract<Act, { kind: 'upload' }>[];
  builds: Build[];
  /** Commands that only a run of them knows the output of, by the variable that it goes into. */
  outputsOfCommands: Map<string, { source: string; line: number }>;
  /** What it does besides, in lines of the file. */
  others: { text: string; line: number; own: boolean }[];
}

/** What a run of a workflow tells its jobs; `project` is `owner/repository` where that is known. */
export interface Situation {
  on: Trigger;
  project?: string;
}

export function runJob(read: ReadPipeline, invocation: Invocation, { on, project }: Situation): JobRun {
  const { job } = invocation;
  const [owner, repository] = project?.split('/') ?? [];
  const literal = on.branch !== undefined && !/[*?[]/.test(on.branch);
  const env = new Map([
    // A branch that is known stays a symbol as well: what is made of it is the same on another one.
    [
      'CIRCLE_BRANCH',
      on.tag !== undefined ? '' : literal ? symbol('param', 'CIRCLE_BRANCH') : symbol('config', 'branch'),
    ],
    ['CIRCLE_TAG', symbol('param', 'CIRCLE_TAG')],
    ['CIRCLE_SHA1', symbol('config', 'commit')],
    ...(owner === undefined ? [] : [['CIRCLE_PROJECT_USERNAME', owner] as const]),
    ...(repository === undefined ? [] : [['CIRCLE_PROJECT_REPONAME', repository] as const]),
  ]);
  const machine: Machine = {
    vars: new Map(env),
    cwd: '/',
    functions: new Map(),
    params: {},
    arch: 'amd64',
    budget: { steps: 20_000 },
    line: 1,
    onCall: () => {},
    onDoubt: () => {},
    onOutput: () => {},
  };
  // A parameter's value is put into the script before the shell reads it: `$CIRCLE_TAG` in it is the shell's.
  const fill = jobLookup(read, {}, env);
  const params = Object.fromEntries(
    Object.entries(invocation.params).map(([name, value]) => [
      name,
      expandWord(quotedParts(fillIn(value, fill)), machine).join(' '),
    ]),
  );
  params.CIRCLE_TAG = on.tag === undefined ? '' : symbol('config', 'gitTag');
  if (literal && on.branch !== undefined) params.CIRCLE_BRANCH = on.branch;
  const executor = executorOf(read, job);
  const lookup = jobLookup(read, params, env);
  const resourceClass = concrete(fillIn(executor.resource_class ?? '', lookup), params);
  const platform = /(^|[./-])arm/.test(resourceClass) ? 'linux/arm64' : 'linux/amd64';
  machine.params = params;
  machine.arch = platform.slice(6);

  const acts: Act[] = [];
  const run: JobRun = {
    job,
    invocation,
    params,
    platform,
    ...(resourceClass === '' ? {} : { resourceClass }),
    clones: [],
    outputs: [],
    pulls: [],
    saves: [],
    uploads: [],
    builds: [],
    outputsOfCommands: new Map(),
    others: [],
  };
  const { scripts, unknown } = readSteps(read, job, lookup, params);
  for (const { text, line, own } of unknown.map((one) => ({ ...one, own: true }))) run.others.push({ text, line, own });
  const kept = new Map(env);
  for (const script of scripts) {
    machine.vars = new Map([...kept, ...Object.entries(script.env)]);
    for (const [name, value] of Object.entries(script.env))
      machine.vars.set(name, expandWord(quotedParts(value), machine).join(' '));
    machine.cwd = `/${script.cwd}`;
    machine.onDoubt = (text, line) => run.others.push({ text, line: script.line + line - 1, own: true });
    machine.onOutput = (name, source, line) =>
      run.outputsOfCommands.set(name, { source, line: script.line + line - 1 });
    machine.onCall = (call: Call) => {
      if (call.output === '$BASH_ENV') {
        const inner: Machine = { ...machine, vars: new Map(kept), onCall: () => {} };
        runShell(call.words.slice(1).join(' '), inner);
        for (const [name, value] of inner.vars) kept.set(name, value);
        return;
      }
      const line = script.line + call.line - 1;
      for (const act of readCall(call)) {
        if (act.kind === 'other') run.others.push({ text: act.text, line, own: script.own });
        acts.push({ ...act, line });
      }
    };
    runShell(script.text, machine);
  }
  trace(acts, run);
  return run;
}

/** Follows each image from where it is made to where it is pushed or saved. */
function trace(acts: readonly Act[], run: JobRun): void {
  const origins = new Map<string, Origin & { platform?: string }>();
  const made: { words: string[][]; cwd: string } = { words: [], cwd: '/' };
  let used = new Set<string[]>();
  /** What nothing in sight has made was made by the scripts before. */
  const originOf = (reference: string): Origin & { platform?: string } => {
    const known = origins.get(reference);
    if (known) return known;
    const product: Origin =
      made.words.length > 0
        ? { kind: 'script', ...made, words: [...made.words], product: reference }
        : { kind: 'reference', from: reference };
    if (product.kind === 'script') used = new Set([...used, ...made.words]);
    origins.set(reference, product);
    return product;
  };
  const push = (reference: string, line: number): void => {
    // A registry that lives as long as the job is no place to publish to.
    if (/^(localhost|127\.0\.0\.1)[:/]/.test(reference)) return;
    if (!run.outputs.some((output) => output.reference === reference))
      run.outputs.push({ reference, origin: originOf(reference), line });
  };
  for (const act of acts) {
    switch (act.kind) {
      case 'clone':
        run.clones.push(act);
        break;
      case 'build': {
        const { kind: _kind, line, ...build } = act;
        run.builds.push(build);
        for (const tag of build.tags) {
          origins.set(tag, { kind: 'build', build });
          if (build.pushes) push(tag, line);
        }
        break;
      }
      case 'pull':
        run.pulls.push(act.reference);
        origins.set(act.reference, {
          kind: 'reference',
          from: act.reference,
          ...(act.platform ? { platform: act.platform } : {}),
        });
        break;
      case 'tag':
        origins.set(act.to, originOf(act.from));
        break;
      case 'push': {
        const whole = splitReference(act.reference);
        const all =
          whole.tag === undefined
            ? [...origins.keys()].filter((one) => splitReference(one).repository === whole.repository)
            : [];
        for (const reference of all.length > 0 ? all : [act.reference]) push(reference, act.line);
        break;
      }
      case 'join':
        for (const to of act.to) {
          origins.set(to, { kind: 'join', from: act.from });
          push(to, act.line);
        }
        break;
      case 'copy':
        origins.set(act.to, { kind: 'reference', from: act.from });
        push(act.to, act.line);
        break;
      case 'save': {
        const origin = originOf(act.reference);
        const source = origin.kind === 'reference' ? origin.from : act.reference;
        const { platform } = origin;
        // What is built here and pushed nowhere from here is handed on to a job that pushes it: no file that anybody wants.
        if (origin.kind === 'build' && !run.outputs.some((one) => one.reference === act.reference)) break;
        run.saves.push({
          reference: act.reference,
          file: act.file,
          source,
          line: act.line,
          ...(platform ? { platform } : {}),
        });
        break;
      }
      case 'compress':
        for (const save of run.saves) if (save.file === act.file) save.file += '.gz';
        break;
      case 'upload':
        run.uploads.push(act);
        break;
      case 'script':
        // The commands of one place belong together; those elsewhere are another's.
        if (made.cwd !== act.cwd) made.words = [];
        made.cwd = act.cwd;
        made.words = [...made.words, act.words];
        break;
      case 'aside':
      case 'other':
        break;
    }
  }
  for (const act of acts) {
    if (act.kind !== 'script' || used.has(act.words)) continue;
    run.others.push({ text: act.words.join(' '), line: act.line, own: true });
  }
}

/** As splitbuild writes it; undefined where it is not known. */
export function toPlatform(text: string): string | undefined {
  if (hasSymbol(text) || text === '') return undefined;
  const platform = parsePlatform(text);
  return platform.ok ? formatPlatform(platform.value) : undefined;
}

/** Platforms that a build makes. */
export function platformsOfBuild(build: Build, run: JobRun): string[] {
  const named = build.platforms.flatMap((text) =>
    concrete(text, run.params)
      .split(',')
      .flatMap((one) => toPlatform(one) ?? []),
  );
  return named.length > 0 ? named : [run.platform];
}
