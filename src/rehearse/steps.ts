// Makes the steps of a job: commands inlined with their arguments, conditions worked out, arguments checked.
import { suggest } from '../config/nearest.ts';
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import { asMap } from '../config/tree.ts';
import { holds } from './logic.ts';
import { bindParameters } from './parameters.ts';
import type { Step } from './pipeline.ts';
import { ownSteps, stepSchemas, toldSteps, type WrittenPipeline, type WrittenStep } from './schema.ts';
import { checkShape } from './shape.ts';
import { type Scope, substitute } from './template.ts';

export interface Expansion {
  written: WrittenPipeline;
  pipeline: Scope;
  problems: Problems;
  /** Commands that are being inlined, the outermost first. */
  within: string[];
  /** Steps that may still be made: commands that call commands can make more than anybody runs. */
  budget: { left: number };
}

/** What the file has under a name, and not what every object of JavaScript has. */
export function entryOf<T>(map: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return map !== undefined && Object.hasOwn(map, name) ? map[name] : undefined;
}

export function expandSteps(steps: WrittenStep[], path: Path, scope: Scope, expansion: Expansion): Step[] {
  return steps.flatMap((step, index) => expandStep(step, [...path, index], scope, expansion));
}

function expandStep(step: WrittenStep, path: Path, scope: Scope, expansion: Expansion): Step[] {
  const { problems, written, budget } = expansion;
  budget.left -= 1;
  if (budget.left < 0) {
    if (budget.left === -1)
      problems.error('too-many-steps', path, 'with all commands put in, the file has too many steps');
    return [];
  }
  const [entry, ...more] = typeof step === 'string' ? [[step, undefined] as const] : Object.entries(step);
  if (!entry || more.length > 0) {
    problems.error('step', path, 'a step is one name, with its arguments indented below it', {
      help: 'indent what belongs to the step two spaces deeper than its name',
    });
    return [];
  }
  const [name, raw] = entry;
  const at = typeof step === 'string' ? path : [...path, name];
  if (name === 'when' || name === 'unless') return expandConditional(name, raw, at, scope, expansion);
  // A command of the file hides a step of CircleCI's of the same name.
  if (entryOf(written.commands, name)) return inline(name, raw, at, scope, expansion);
  if (toldSteps.includes(name)) {
    const args = substitute(raw, at, scope, problems);
    const path = asMap(args)?.path ?? asMap(args)?.key;
    const always = name.startsWith('store_');
    return [
      {
        kind: 'told',
        name: typeof path === 'string' ? `${name} ${path}` : name,
        when: always ? 'always' : 'on_success',
      },
    ];
  }
  if (ownSteps.includes(name)) return ownStep(name, substitute(raw, at, scope, problems), at, problems);
  const orb = name.includes('/');
  problems.error(
    'unknown-step',
    at,
    orb ? `'${name}' is of an orb, which is not fetched` : `there is no step or command '${name}'`,
    {
      at: 'key',
      help: orb
        ? "'circleci config process' writes the config out without orbs: rehearse that"
        : suggest(name, [...ownSteps, ...Object.keys(written.commands ?? {})]),
    },
  );
  return [];
}

function expandConditional(
  name: 'when' | 'unless',
  raw: unknown,
  at: Path,
  scope: Scope,
  expansion: Expansion,
): Step[] {
  const shape = checkShape(stepSchemas.conditional, raw, at, expansion.problems, () => ['condition', 'steps']);
  if (!shape) return [];
  const condition = substitute(shape.condition, [...at, 'condition'], scope, expansion.problems);
  const holding = holds(condition, [...at, 'condition'], expansion.problems);
  // What is not run is checked as well: the next run may take it.
  const steps = expandSteps(shape.steps, [...at, 'steps'], scope, expansion);
  return holding === (name === 'when') ? steps : [];
}

function inline(name: string, raw: unknown, at: Path, scope: Scope, expansion: Expansion): Step[] {
  const { problems, written, within, pipeline } = expansion;
  const command = entryOf(written.commands, name);
  if (!command) return [];
  if (within.includes(name)) {
    const loop = [...within.slice(within.indexOf(name)), name].join(' → ');
    problems.error('command-cycle', at, `command '${name}' calls itself: ${loop}`, { at: 'key' });
    return [];
  }
  const args = substitute(raw ?? {}, at, scope, problems);
  const given = asMap(args);
  if (!given) {
    problems.error('wrong-type', at, `the arguments of command '${name}' must be a map`, { at: 'key' });
    return [];
  }
  const declaredAt = ['commands', name, 'parameters'];
  const what = `command '${name}'`;
  const own = bindParameters({ what, declared: command.parameters, declaredAt, given, givenAt: at }, problems);
  const inside = { ...expansion, within: [...within, name] };
  return expandSteps(command.steps, ['commands', name, 'steps'], { ...pipeline, ...own }, inside);
}

function ownStep(name: string, args: unknown, at: Path, problems: Problems): Step[] {
  const known =
    (key: 'run' | 'checkout' | 'setup_remote_docker' | 'persist_to_workspace' | 'attach_workspace') => (): string[] =>
      Object.keys(stepSchemas[key].shape);
  switch (name) {
    case 'run': {
      const written = typeof args === 'string' || typeof args === 'number' ? { command: String(args) } : args;
      const run = checkShape(stepSchemas.run, written, at, problems, known('run'));
      if (!run) return [];
      return [
        {
          kind: 'run',
          name: run.name ?? firstLine(run.command),
          when: run.when ?? 'on_success',
          command: run.command,
          environment: texts(run.environment),
          background: run.background ?? false,
          ...(run.shell ? { shell: run.shell } : {}),
          ...(run.working_directory ? { workingDirectory: run.working_directory } : {}),
        },
      ];
    }
    case 'checkout': {
      const checkout = checkShape(stepSchemas.checkout, args ?? {}, at, problems, known('checkout'));
      if (!checkout) return [];
      const { name = 'checkout', when = 'on_success', path } = checkout;
      return [{ kind: 'checkout', name, when, ...(path ? { path } : {}) }];
    }
    case 'setup_remote_docker': {
      const remote = checkShape(
        stepSchemas.setup_remote_docker,
        args ?? {},
        at,
        problems,
        known('setup_remote_docker'),
      );
      return remote ? [{ kind: 'remote-docker', name: remote.name ?? 'setup_remote_docker', when: 'on_success' }] : [];
    }
    case 'persist_to_workspace': {
      const persist = checkShape(
        stepSchemas.persist_to_workspace,
        args ?? {},
        at,
        problems,
        known('persist_to_workspace'),
      );
      if (!persist) return [];
      const { name = 'persist_to_workspace', when = 'on_success', root, paths } = persist;
      return [{ kind: 'persist', name, when, root, paths: [paths].flat() }];
    }
    default: {
      const attach = checkShape(stepSchemas.attach_workspace, args ?? {}, at, problems, known('attach_workspace'));
      if (!attach) return [];
      return [
        { kind: 'attach', name: attach.name ?? 'attach_workspace', when: attach.when ?? 'on_success', at: attach.at },
      ];
    }
  }
}

function firstLine(command: string): string {
  const line = command.trim().split('\n')[0] ?? '';
  return line.length > 70 ? `${line.slice(0, 69)}…` : line;
}

/** An environment as a process takes it. */
export function texts(environment: Record<string, unknown> | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(environment ?? {}).map(([name, value]) => [name, String(value ?? '')]));
}
