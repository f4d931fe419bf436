// Runs a shell tree without running anything: variables get their values as far as they are known, conditions are decided where they
// can be, and each command that would run is reported. Where a condition is not known, both ways are taken.
import { parseShell, type Shell } from './shell.ts';
import { expandWord, type Machine, matchesGlob, resolvePath, test } from './shell-expand.ts';
import type { Word } from './shell-words.ts';
import { concrete } from './symbols.ts';

/** Whether it succeeds, where that is known, and whether the script ends there. */
interface Outcome {
  ok: boolean | undefined;
  ends?: boolean;
}

const done: Outcome = { ok: true };
const mayFail = /^(grep|egrep|command|which|type|curl|wget|jq|diff|cmp|timeout)$/;

export function runShell(text: string, machine: Machine): void {
  run(parseShell(text), machine, 0);
}

function run(node: Shell, machine: Machine, depth: number): Outcome {
  if (depth > 60 || machine.budget.steps-- <= 0) return { ok: true, ends: true };
  const next = depth + 1;
  switch (node.kind) {
    case 'list': {
      let last = done;
      for (const item of node.items) {
        last = run(item, machine, next);
        if (last.ends) break;
      }
      return last;
    }
    case 'and':
    case 'or': {
      const left = run(node.left, machine, next);
      if (left.ends || left.ok === (node.kind === 'or')) return left;
      if (left.ok !== undefined) return run(node.right, machine, next);
      const right = maybe([() => run(node.right, machine, next)], machine);
      return { ok: undefined, ...(right.ends ? { ends: false } : {}) };
    }
    case 'not': {
      const { ok } = run(node.body, machine, next);
      return { ok: ok === undefined ? undefined : !ok };
    }
    case 'pipe':
      return runPipe(node.items, machine, next);
    case 'if': {
      const ways: (() => Outcome)[] = [];
      for (const { test, body } of node.cases) {
        const { ok } = run(test, machine, next);
        if (ok === false) continue;
        ways.push(() => run(body, machine, next));
        if (ok) return ways.length === 1 ? run(body, machine, next) : maybe(ways, machine);
      }
      const { otherwise } = node;
      if (ways.length === 0) return otherwise ? run(otherwise, machine, next) : done;
      if (otherwise) ways.push(() => run(otherwise, machine, next));
      return maybe(ways, machine);
    }
    case 'case': {
      const value = concrete(expandWord(node.word, machine).join(' '), machine.params);
      const ways: (() => Outcome)[] = [];
      for (const { patterns, body } of node.arms) {
        const matches = patterns.map((pattern) => matchesGlob(value, expandWord(pattern, machine).join(' ')));
        if (matches.includes(true)) {
          if (ways.length === 0) return run(body, machine, next);
          ways.push(() => run(body, machine, next));
          break;
        }
        if (matches.includes(undefined)) ways.push(() => run(body, machine, next));
      }
      return maybe(ways, machine);
    }
    case 'for': {
      for (const item of node.words.flatMap((word) => expandWord(word, machine)).slice(0, 50)) {
        machine.vars.set(node.name, item);
        if (run(node.body, machine, next).ends) break;
      }
      return done;
    }
    case 'loop':
      run(node.body, machine, next);
      return done;
    case 'function':
      machine.functions.set(node.name, node.body);
      return done;
    case 'group': {
      const inner = node.subshell ? { ...machine, vars: new Map(machine.vars) } : machine;
      const outcome = run(node.body, inner, next);
      return node.subshell ? { ok: outcome.ok } : outcome;
    }
    case 'command':
      return runCommand(node, machine, next, []);
  }
}

/** Takes ways of which one is gone or none: a variable that has a value before keeps it, another gets the first that is set. */
function maybe(ways: (() => Outcome)[], machine: Machine): Outcome {
  const before = new Map(machine.vars);
  const { cwd } = machine;
  const merged = new Map(before);
  for (const way of ways) {
    machine.vars = new Map(before);
    machine.cwd = cwd;
    if (way().ends) continue;
    for (const [name, value] of machine.vars) if (!merged.get(name)) merged.set(name, value);
  }
  machine.vars = merged;
  machine.cwd = cwd;
  return { ok: undefined };
}

function runPipe(items: Shell[], machine: Machine, depth: number): Outcome {
  const [first, ...rest] = items;
  const through = rest.map((item) =>
    item.kind === 'command' ? item.words.flatMap((word) => expandWord(word, machine)) : [],
  );
  const inner = { ...machine, vars: new Map(machine.vars) };
  if (first?.kind === 'command') {
    const last = rest.at(-1);
    const redirects = last?.kind === 'command' ? last.redirects : [];
    runCommand({ ...first, redirects: [...first.redirects, ...redirects] }, inner, depth, through);
  } else if (first) run(first, inner, depth);
  let outcome: Outcome = done;
  for (const item of rest) outcome = run(item, inner, depth);
  return { ok: outcome.ok };
}

/** `x` of `x=$(…)`, as it stands behind `export`. */
function assignedName([first]: Word): string | undefined {
  return first?.kind === 'text' ? /^(\w+)=/.exec(first.text)?.[1] : undefined;
}

function runCommand(
  node: Extract<Shell, { kind: 'command' }>,
  machine: Machine,
  depth: number,
  pipedTo: string[][],
): Outcome {
  machine.line = node.line;
  const words = node.words.flatMap((word) => expandWord(word, machine, assignedName(word)));
  for (const [name, value] of node.assigns) {
    const text = expandWord(
      value.map((part) => ({ ...part, quoted: true })),
      machine,
      name,
    ).join(' ');
    // An assignment in front of a command holds for that command alone; the difference is never seen here.
    machine.vars.set(name, text.slice(0, 20_000));
  }
  const [name = '', ...args] = words;
  const body = machine.functions.get(name);
  if (body) {
    const inner = {
      ...machine,
      vars: new Map([...machine.vars, ...args.map((arg, n): [string, string] => [String(n + 1), arg])]),
    };
    const outcome = run(body, inner, depth);
    for (const [key, value] of inner.vars) if (!/^\d+$/.test(key)) machine.vars.set(key, value);
    return { ok: outcome.ok };
  }
  switch (name) {
    case '':
    case ':':
    case 'true':
      return done;
    case 'false':
      return { ok: false };
    case 'export':
    case 'local':
    case 'declare':
    case 'readonly':
      for (const arg of args) {
        const [, key, value] = /^(\w+)=(.*)$/s.exec(arg) ?? [];
        if (key !== undefined) machine.vars.set(key, value ?? '');
      }
      return done;
    case 'unset':
      for (const arg of args) machine.vars.set(arg, '');
      return done;
    case 'cd':
    case 'pushd':
      machine.cwd = resolvePath(machine.cwd, args.find((arg) => !arg.startsWith('-')) ?? '~');
      return done;
    case 'popd':
      machine.cwd = '/';
      return done;
    case 'exit':
    case 'return':
      return { ok: args[0] === undefined || args[0] === '0', ends: true };
    case '[':
    case 'test':
    case '[[':
      return {
        ok: test(args.filter((arg) => arg !== ']' && arg !== ']]').map((arg) => concrete(arg, machine.params))),
      };
    case 'circleci-agent':
      if (args.includes('halt')) return { ok: true, ends: true };
      break;
    default:
  }
  const output = node.redirects.find(({ operator }) => /^1?(>|>>|>\|)$/.test(operator));
  const target = output ? expandWord(output.target, machine).join(' ') : undefined;
  machine.onCall({
    words,
    line: node.line,
    cwd: machine.cwd,
    appends: output?.operator.endsWith('>>') === true,
    pipedTo,
    ...(target === undefined
      ? {}
      : { output: /bash_env/i.test(target) ? '$BASH_ENV' : resolvePath(machine.cwd, target) }),
  });
  return {
    ok: mayFail.test(name) || /\b(inspect|diff|show-ref)\b/.test(words.slice(1, 3).join(' ')) ? undefined : true,
  };
}
