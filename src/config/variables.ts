// Expands `${name}` in the config: variables of the file, `--set`, the environment, git and the date. What only has a value
// later (`${arch}`) stays, as templates (see template.ts) that each field may or may not be.

import { suggest } from './nearest.ts';
import type { Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { escapeTemplate, expandTemplate, laterNames, token } from './template.ts';

/** What a field may use, and how strict it is. */
export interface Scope {
  /** Names that stay as they are; the result is then a template. Undefined: the result is a final text. */
  template?: ReadonlySet<string>;
  /** First tag of the run, where it may be used; undefined inside when it is not known because of an error. */
  tag?: { value: string | undefined };
  /** This part is not used in this run: a git or environment variable without a value stays as it is. */
  unused: boolean;
  /** Git's names stay as they are even if they have a value, and the path is not silenced. */
  keepGit?: boolean;
}

export interface Outside {
  set: Readonly<Record<string, string>>;
  env: Readonly<Record<string, string | undefined>>;
  git: { branch?: string; tag?: string; commit?: string };
  now: Date;
}

export interface Variables {
  /** The text with its values. If one is missing, that is reported (or the part is unused) and the path silenced. */
  expand(text: string, path: Path, scope: Scope): string;
  /** Names given with `--set` that the file neither has nor uses. */
  unusedSets(): string[];
}

const gitNames = new Set(['gitTag', 'branch', 'commit']);
const builtin: ReadonlySet<string> = new Set([...laterNames, ...gitNames, 'date']);
const maxLength = 100_000;

/** `vars` as in the file: text by name. Problems inside them are reported at once, used or not. */
export function createVariables(
  vars: Readonly<Record<string, string>>,
  { set, env, git, now }: Outside,
  problems: Problems,
): Variables {
  const texts = new Map([...Object.entries(vars), ...Object.entries(set)]);
  const templates = new Map<string, string | undefined>();
  const used = new Set<string>();

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
    if (texts.has(name)) return templateOf(name, path, within);
    if (builtin.has(name) || /^env:./.test(name)) return words;
    const known = suggest(name, [...texts.keys(), ...builtin]);
    const help = `${known}; write $${words} for the text ${words}`;
    problems.error('undefined-variable', path, `variable '${name}' is not defined`, { at, help });
    return undefined;
  };

  /** Where a variable is written; where it is used if it comes from the command line. */
  const originOf = (name: string, path: Path): Path =>
    Object.hasOwn(vars, name) && !Object.hasOwn(set, name) ? ['vars', name] : path;

  const templateOf = (name: string, path: Path, within: string[]): string | undefined => {
    if (templates.has(name)) return templates.get(name);
    const template = inline(texts.get(name) ?? '', originOf(name, path), [...within, name]);
    templates.set(name, template);
    return template;
  };

  const resolveName = (name: string, words: string, path: Path, scope: Scope): string | undefined => {
    if (scope.template?.has(name)) return words;
    if (name === 'tag' && scope.tag) return scope.tag.value === undefined ? undefined : escapeTemplate(scope.tag.value);
    if (name === 'date') return now.toISOString().slice(0, 10);
    const missing = (why: string, help: string): undefined => {
      const message = name.startsWith('env:') ? why : `variable '${name}' has no value here: ${why}`;
      problems.error('variable-without-value', path, message, { at: { words }, help });
    };
    if (gitNames.has(name)) {
      const value = name === 'gitTag' ? git.tag : name === 'branch' ? git.branch : git.commit;
      if (scope.keepGit) return words;
      if (value !== undefined) return escapeTemplate(value);
      if (scope.unused) return words;
      const why = name === 'gitTag' ? 'HEAD has no git tag' : `git says of no ${name}`;
      return missing(why, `run it on a checkout that has one, or give --set ${name}=…`);
    }
    if (name.startsWith('env:')) {
      const value = env[name.slice(4)];
      if (value !== undefined) return escapeTemplate(value);
      if (scope.unused) return words;
      return missing(
        `environment variable '${name.slice(4)}' is not set`,
        `export ${name.slice(4)}=… before, or use a variable of 'vars'`,
      );
    }
    if (name === 'tag') return missing('the tags are what it comes from', 'write the tag itself');
    return missing('it differs by platform', "it can stand in 'args', in a group's 'script' and in an export's 'file'");
  };

  const expand = (text: string, path: Path, scope: Scope): string => {
    const template = inline(text, path, []);
    if (template === undefined) {
      problems.silence(path);
      return text;
    }
    const written = [...text.matchAll(token)].map(([words]) => words);
    let complete = true;
    const expanded = template.replace(token, (whole, name: string | undefined) => {
      if (name === undefined) return whole;
      // A name that came in through another variable is shown by the one that is written here.
      const value = resolveName(name, written.includes(whole) ? whole : (written[0] ?? whole), path, scope);
      if (value === undefined || (value === whole && !scope.template?.has(name))) complete = false;
      return value ?? whole;
    });
    if (!complete && !scope.keepGit) problems.silence(path);
    return scope.template ? expanded : expandTemplate(expanded, {});
  };

  for (const name of Object.keys(vars)) templateOf(name, ['vars', name], []);
  return {
    expand,
    unusedSets: () => Object.keys(set).filter((name) => !Object.hasOwn(vars, name) && !used.has(name)),
  };
}
