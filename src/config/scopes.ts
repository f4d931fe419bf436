// Which variables each field of the config may use, and the expansion of the whole file by that.

import { suggest } from './nearest.ts';
import type { ParsedFile, Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { laterNames } from './template.ts';
import { asList, asMap, asTexts, entriesOf, type Item } from './tree.ts';
import { createVariables, type Outside, type Scope } from './variables.ts';

export interface Expanded {
  /** The file's data with its variables expanded. */
  tree: Record<string, unknown>;
  /** Tags of this run: those of the chosen workflow, or the file's. */
  tags: Item[];
  /** Images that the chosen workflow leaves out. */
  disabled: ReadonlySet<string>;
  /** The chosen workflow, if there is such a one. */
  workflow?: string;
  /** Names given with `--set` that nothing uses. */
  unusedSets: string[];
}

const archOnly: ReadonlySet<string> = new Set(['arch']);

/** Expands all variables of a file for a run of one workflow, or of none. */
export function expandConfig(
  parsed: ParsedFile,
  outside: Outside & { workflow?: string },
  problems: Problems,
): Expanded {
  const raw = asMap(parsed.value) ?? {};
  const variables = createVariables(variableTexts(raw, parsed, outside.set, problems), outside, problems);
  const chosen = chosenWorkflow(raw, outside.workflow, problems);
  const own = chosen === undefined ? undefined : asMap(asMap(raw.workflows)?.[chosen]);
  const disablePath = ['workflows', chosen ?? '', 'disable'];
  const once: Scope = { unused: false };
  const disabled = new Set(
    asTexts(own?.disable, disablePath).map(({ text, path }) => variables.expand(text, path, once)),
  );
  const tagsPath: Path = own?.tags === undefined ? ['tags'] : ['workflows', chosen ?? '', 'tags'];
  const written = tagsPath[0] === 'tags' ? (raw.tags === undefined ? ['latest'] : raw.tags) : own?.tags;
  const tags = asTexts(written, tagsPath).map(({ text, path }) => ({
    path,
    text: variables.expand(text, path, once),
  }));
  const [firstTag] = tags;
  const known = firstTag && !problems.isSilenced(firstTag.path) ? firstTag.text : undefined;

  const scopeOf = (path: Path): Scope => {
    const [top, name, field] = path;
    if (top === 'archTagSuffix') return { template: archOnly, unused: false };
    if (top === 'workflows') return field === 'tags' ? { unused: true, keepGit: true } : { unused: true };
    if (top === 'tags') return { unused: true };
    const unused = top === 'images' && disabled.has(String(name));
    const isTemplate =
      (top === 'images' && field === 'args') ||
      (top === 'defaults' && name === 'args') ||
      (top === 'groups' && field === 'script') ||
      (top === 'exports' && field === 'file');
    return isTemplate ? { template: laterNames, unused } : { tag: { value: known }, unused };
  };
  const walk = (value: unknown, path: (string | number)[]): unknown => {
    if (path[0] === 'ci') return value;
    const text = isScalarField(path) ? scalarText(value, path, parsed) : value;
    if (typeof text === 'string') return path[0] === 'vars' ? text : variables.expand(text, path, scopeOf(path));
    if (Array.isArray(text)) return text.map((item, index) => walk(item, [...path, index]));
    const map = asMap(text);
    return map ? Object.fromEntries(Object.entries(map).map(([key, item]) => [key, walk(item, [...path, key])])) : text;
  };
  const tree = asMap(walk(raw, [])) ?? {};
  return {
    tree,
    tags,
    disabled,
    unusedSets: variables.unusedSets(),
    ...(own && chosen !== undefined ? { workflow: chosen } : {}),
  };
}

function chosenWorkflow(
  raw: Record<string, unknown>,
  name: string | undefined,
  problems: Problems,
): string | undefined {
  if (name === undefined) return undefined;
  const workflows = entriesOf(raw.workflows).map(([key]) => key);
  if (workflows.includes(name)) return name;
  const help = suggest(name, workflows, "the config has no 'workflows'");
  problems.error('unknown-workflow', ['workflows'], `no workflow '${name}', which was asked for`, { at: 'key', help });
  return undefined;
}

/** Values of variables and build args may be written as numbers; then what stands in the file counts (3.10 is not 3.1). */
function isScalarField(path: Path): boolean {
  const [top, , field] = path;
  if (top === 'vars') return path.length === 2;
  if (top === 'defaults') return path[1] === 'args' && path.length === 3;
  return top === 'images' && field === 'args' && path.length === 4;
}

function scalarText(value: unknown, path: Path, parsed: ParsedFile): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? (parsed.spot(path)?.written ?? value) : value;
}

function variableTexts(
  raw: Record<string, unknown>,
  parsed: ParsedFile,
  set: Readonly<Record<string, string>>,
  problems: Problems,
): Record<string, string> {
  const named = entriesOf(raw.vars).map(([name, value]): [string, unknown] => [
    name,
    scalarText(value, ['vars', name], parsed),
  ]);
  for (const name of new Set([...named.map(([key]) => key), ...Object.keys(set)])) {
    if (laterNames.has(name)) {
      const help = name === 'tag' ? "write tags under 'tags' or in a workflow" : 'choose another name';
      problems.error('reserved-variable', ['vars', name], `'\${${name}}' has a value of its own`, { at: 'key', help });
    } else if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
      const help = 'use letters, digits, _ . and -, a letter first';
      problems.error('variable-name', ['vars', name], `'${name}' is no name for a variable`, { at: 'key', help });
    }
  }
  // A list or map is refused by the schema; it still is a name that exists.
  return Object.fromEntries(named.map(([name, value]) => [name, asList(value) || asMap(value) ? '' : String(value)]));
}
