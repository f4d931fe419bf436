// Expands `${name}` in the config: variables of the file, `--set`, the environment, git and the date. What only has a value
// later (`${arch}`) stays, as templates (see template.ts) that each field may or may not be.

import type { Layer } from './layers.ts';
import { suggest } from './nearest.ts';
import type { Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { escapeTemplate, expandTemplate, gitNames, holdsAny, laterNames, token } from './template.ts';

/** What a field may use, and how strict it is. */
export interface Scope {
  /** Names that stay as they are; the result is then a template. Undefined: the result is a final text. */
  template?: ReadonlySet<string>;
  /** First tag of the run as a template, where it may be used; undefined inside when it is not known because of an error. */
  tag?: { value: string | undefined };
  /** This part is not used in this run: a git or environment variable without a value stays as it is. */
  unused: boolean;
  /** Git's names stay as they are even if they have a value, and the path is not silenced. */
  keepGit?: boolean;
}

export interface Outside {
  set: Readonly<Record<string, string>>;
  env: Readonly<Record<string, string | undefined>>;
  /** `later`: what git says is known where the texts are used, not here, so its names stay in them. */
  git: { branch?: string; tag?: string; commit?: string } | 'later';
  now: Date;
}

/** Expansion with the variables that one part of the file sees. */
export interface Variables {
  /** Reports problems inside the variables of one layer, used or not. */
  check(layer: Layer): void;
  /** The text with its values. If one is missing, that is reported (or the part is unused) and the path silenced. */
  expand(text: string, path: Path, scope: Scope): string;
  /** The same as a template, also where `expand` gives a final text. */
  toTemplate(text: string, path: Path, scope: Scope): string;
  /**
   * The text as a template in which variables of the file keep their names, and those names. One whose value differs by what
   * is built has no value to give: what it stands for is written in its place. For texts that `expand` found no fault with.
   */
  leaveNames(text: string, path: Path, scope: Scope): { text: string; names: string[] };
}

export interface VariableSpace {
  /** Of several layers, the nearest first. */
  see(layers: readonly Layer[]): Variables;
  /** Names given with `--set` that the file neither has nor uses. */
  unusedSets(): string[];
}

const builtin: ReadonlySet<string> = new Set([...laterNames, ...gitNames, 'date']);
const maxLength = 100_000;
/** Of variables in variables. */
const maxDepth = 100;

/** All variables there are, for the parts of a file to see some of them. `hints` helps with names that a part does not see. */
export function createVariables(
  outside: Outside,
  hints: ReadonlyMap<string, string>,
  problems: Problems,
): VariableSpace {
  const given = new Map(Object.entries(outside.set));
  const used = new Set<string>();
  return {
    see: (layers) => seeLayers(layers, given, outside, { hints, used, problems }),
    unusedSets: () => [...given.keys()].filter((name) => !used.has(name)),
  };
}

interface Common {
  hints: ReadonlyMap<string, string>;
  /** Every name that something asked for. */
  used: Set<string>;
  problems: Problems;
}

function seeLayers(
  layers: readonly Layer[],
  given: ReadonlyMap<string, string>,
  { env, git, now }: Outside,
  { hints, used, problems }: Common,
): Variables {
  const templates = new Map<string, string | undefined>();

  /** A variable, and where it is written; it has no place if it comes from the command line. */
  const find = (name: string): { text: string; path?: Path } | undefined => {
    const text = given.get(name);
    return text === undefined ? layers.find((layer) => layer.has(name))?.get(name) : { text };
  };

  /** Replaces the file's own variables, so that only built-in names remain. */
  const inline = (text: string, path: Path, within: string[]): string | undefined => {
    let whole: string | undefined = '';
    let last = 0;
    for (const match of text.matchAll(token)) {
      const part = inlineOne(match[0], match[1], path, within);
      if (whole !== undefined) whole = part === undefined ? undefined : whole + text.slice(last, match.index) + part;
      if (whole !== undefined && whole.length > maxLength) break;
      last = match.index + match[0].length;
    }
    if (whole !== undefined) whole += text.slice(last);
    if (whole === undefined || whole.length <= maxLength) return whole;
    problems.error('variable-length', path, `this grows to over ${maxLength} characters`);
    return undefined;
  };

  const inlineOne = (words: string, name: string | undefined, path: Path, within: string[]): string | undefined => {
    if (words === '$$') return words;
    const at = { words };
    if (name === undefined) {
      const help = "close it with '}'; write $${ for the text ${";
      problems.error('variable-syntax', path, "'${' begins a variable that does not end", { at, help });
      return undefined;
    }
    used.add(name);
    if (within.includes(name)) {
      const circle = within.slice(within.indexOf(name));
      const begin = circle.indexOf([...circle].sort()[0] ?? name);
      const around = [...circle.slice(begin), ...circle.slice(0, begin), circle[begin] ?? name];
      const message = `variables refer to each other: ${around.join(' -> ')}`;
      const help = 'give one of them a value of its own';
      problems.error('variable-cycle', originOf(around[0] ?? name, path), message, { help });
      return undefined;
    }
    if (within.length >= maxDepth) {
      problems.error('variable-depth', path, `variables stand in each other over ${maxDepth} times`, {
        help: 'write the value itself',
      });
      return undefined;
    }
    if (find(name)) return templateOf(name, path, within);
    if (builtin.has(name) || /^env:./.test(name)) return words;
    const names = [...given.keys(), ...layers.flatMap((layer) => [...layer.keys()]), ...builtin];
    const known = hints.get(name) ?? suggest(name, names);
    const help = `${known}; write $${words} for the text ${words}`;
    problems.error('undefined-variable', path, `variable '${name}' is not defined`, { at, help });
    return undefined;
  };

  /** Where a variable is written; where it is used if it comes from the command line. */
  const originOf = (name: string, path: Path): Path => find(name)?.path ?? path;

  const templateOf = (name: string, path: Path, within: string[]): string | undefined => {
    if (templates.has(name)) return templates.get(name);
    const template = inline(find(name)?.text ?? '', originOf(name, path), [...within, name]);
    templates.set(name, template);
    return template;
  };

  /** Value of a built-in name as a template, or the name itself where it stays. `words` is what a problem is shown by. */
  const resolveName = (name: string, words: string, path: Path, scope: Scope): string | undefined => {
    const itself = `\${${name}}`;
    if (scope.template?.has(name)) return itself;
    if (name === 'tag' && scope.tag) return scope.tag.value;
    if (name === 'date') return now.toISOString().slice(0, 10);
    const missing = (why: string, help: string): undefined => {
      const message = name.startsWith('env:') ? why : `variable '${name}' has no value here: ${why}`;
      problems.error('variable-without-value', path, message, { at: { words }, help });
    };
    if (gitNames.has(name)) {
      if (git === 'later' || scope.keepGit) return itself;
      const value = name === 'gitTag' ? git.tag : name === 'branch' ? git.branch : git.commit;
      if (value !== undefined) return escapeTemplate(value);
      if (scope.unused) return itself;
      const why = name === 'gitTag' ? 'HEAD has no git tag' : `git says of no ${name}`;
      return missing(why, `run it on a checkout that has one, or give --set ${name}=…`);
    }
    if (name.startsWith('env:')) {
      const value = env[name.slice(4)];
      if (value !== undefined) return escapeTemplate(value);
      if (scope.unused) return itself;
      return missing(
        `environment variable '${name.slice(4)}' is not set`,
        `export ${name.slice(4)}=… before, or use a variable of 'vars'`,
      );
    }
    if (name === 'tag') return missing('the tags are what it comes from', 'write the tag itself');
    return missing('it differs by platform', "it can stand in 'args', in a group's 'script' and in an export's 'file'");
  };

  const resolveAll = (text: string, path: Path, scope: Scope): string | undefined => {
    const template = inline(text, path, []);
    if (template === undefined) {
      problems.silence(path);
      return undefined;
    }
    const written = [...text.matchAll(token)].map(([words]) => words);
    let complete = true;
    const expanded = template.replace(token, (whole, name: string | undefined) => {
      if (name === undefined) return whole;
      // A name that came in through another variable is shown by the one that is written here.
      const value = resolveName(name, written.includes(whole) ? whole : (written[0] ?? whole), path, scope);
      const mayStay = scope.template?.has(name) || (git === 'later' && gitNames.has(name));
      if (value === undefined || (value === whole && !mayStay)) complete = false;
      return value ?? whole;
    });
    if (!complete && !scope.keepGit) problems.silence(path);
    if (git === 'later' && holdsAny(expanded, gitNames)) problems.defer(path);
    return expanded;
  };

  const toTemplate = (text: string, path: Path, scope: Scope): string => resolveAll(text, path, scope) ?? text;

  const expand = (text: string, path: Path, scope: Scope): string => {
    if (!text.includes('$') && text.length <= maxLength) return text;
    const template = resolveAll(text, path, scope);
    return scope.template || template === undefined ? (template ?? text) : expandTemplate(template, {});
  };

  const leaveNames = (text: string, path: Path, scope: Scope): { text: string; names: string[] } => {
    const names: string[] = [];
    if (!text.includes('$')) return { text, names };
    const left = text.replace(token, (whole, name: string | undefined) => {
      if (name === undefined) return whole;
      const own = find(name);
      if (own && !holdsAny(templateOf(name, path, []) ?? '', laterNames)) {
        names.push(name);
        return whole;
      }
      if (own) {
        const inner = leaveNames(own.text, own.path ?? path, scope);
        names.push(...inner.names);
        return inner.text;
      }
      return laterNames.has(name) ? whole : (resolveName(name, whole, path, scope) ?? whole);
    });
    return { text: left, names };
  };

  const check = (layer: Layer): void => {
    for (const [name, { path }] of layer) {
      if (given.has(name)) used.add(name);
      templateOf(name, path, []);
    }
  };

  return { check, expand, toTemplate, leaveNames };
}
