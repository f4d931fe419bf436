// Which variables each field of the config may use, and the expansion of the whole file by that.

import { inheritDefaults } from './inherit.ts';
import { checkVariableName, hintsOf, type Layers, readLayers, scalarText } from './layers.ts';
import { suggest } from './nearest.ts';
import type { ParsedFile, Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { expandTemplate, laterNames } from './template.ts';
import { asMap, asTexts, entriesOf, type Item, valueAt } from './tree.ts';
import { createVariables, type Outside, type Scope, type VariableSpace, type Variables } from './variables.ts';

/** Texts in which variables keep their names, and the values of those, in the order in which they appear. */
export interface AsWritten {
  texts: string[];
  vars: Record<string, string>;
}

export interface Expanded {
  /** The file's data with its variables expanded, and the defaults in every image. */
  tree: Record<string, unknown>;
  /** Tags of this run: those of the chosen workflow, or the file's. */
  tags: Item[];
  /** Images that the chosen workflow leaves out. */
  disabled: ReadonlySet<string>;
  /** Whether the run builds images: the chosen workflow may have other jobs alone. Without, all are disabled. */
  builds: boolean;
  /** The texts at these paths with the names of variables left in; for a file without errors. */
  asWritten(paths: readonly Path[]): AsWritten;
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
  const raw = inheritDefaults(asMap(parsed.value) ?? {});
  const chosen = chosenWorkflow(raw, outside.workflow, problems);
  const layers = readLayers(raw, parsed, problems);
  for (const name of Object.keys(outside.set)) checkVariableName(name, ['vars', name], problems);
  const space = createVariables(outside, hintsOf(layers), problems);
  const seen = seeAll(layers, space, chosen);

  const own = chosen === undefined ? undefined : asMap(asMap(raw.workflows)?.[chosen]);
  const builds = own === undefined || buildsImages(own);
  const once: Scope = { unused: false };
  const disabled = new Set(
    builds
      ? asTexts(own?.disable, ['workflows', chosen ?? '', 'disable']).map(({ text, path }) =>
          seen.base.expand(text, path, once),
        )
      : Object.keys(asMap(raw.images) ?? {}),
  );
  const tagsPath: Path = own?.tags === undefined ? ['tags'] : ['workflows', chosen ?? '', 'tags'];
  const written = tagsPath[0] === 'tags' ? (raw.tags === undefined ? ['latest'] : raw.tags) : own?.tags;
  const templates = asTexts(written, tagsPath).map(({ text, path }) => ({
    path,
    text: seen.base.toTemplate(text, path, { unused: !builds }),
  }));
  const [firstTag] = templates;
  const known = firstTag && !problems.isSilenced(firstTag.path) ? firstTag.text : undefined;

  const takers = entriesOf(asMap(parsed.value)?.images).filter(([name]) => !disabled.has(name));
  const scopeOf = (path: Path): Scope => {
    const [top, name, field] = path;
    if (top === 'archTagSuffix') return { template: archOnly, unused: false };
    if (top === 'workflows') return field === 'tags' ? { unused: true, keepGit: true } : { unused: true };
    if (top === 'tags') return { unused: true };
    const unused = !builds || isIdle(path, raw, disabled);
    const isTemplate =
      (top === 'images' && field === 'args') ||
      (top === 'defaults' && name === 'args') ||
      (top === 'groups' && field === 'script') ||
      (top === 'exports' && field === 'file');
    return isTemplate ? { template: laterNames, unused } : { tag: { value: known }, unused };
  };
  const variablesOf = (path: Path): Variables => {
    const [top, name] = path;
    if (top === 'defaults') return seen.owner('images', takerOf(path, takers) ?? '');
    return top === 'images' || top === 'groups' || top === 'workflows' ? seen.owner(top, String(name)) : seen.base;
  };
  const walk = (value: unknown, path: (string | number)[]): unknown => {
    if (path[0] === 'ci') return value;
    const text = isScalarField(path) ? scalarText(value, path, parsed) : value;
    if (typeof text === 'string') return isVariable(path) ? text : variablesOf(path).expand(text, path, scopeOf(path));
    if (Array.isArray(text)) return text.map((item, index) => walk(item, [...path, index]));
    const map = asMap(text);
    return map ? Object.fromEntries(Object.entries(map).map(([key, item]) => [key, walk(item, [...path, key])])) : text;
  };
  const tree = asMap(walk(raw, [])) ?? {};
  const asWritten = (paths: readonly Path[]): AsWritten => {
    const vars = new Map<string, string>();
    const texts = paths.map((path) => {
      const variables = variablesOf(path);
      const left = variables.leaveNames(String(scalarText(valueAt(raw, path), path, parsed)), path, scopeOf(path));
      for (const name of left.names)
        if (!vars.has(name)) vars.set(name, variables.expand(`\${${name}}`, path, { unused: true }));
      return left.text;
    });
    return { texts, vars: Object.fromEntries(vars) };
  };
  return {
    tree,
    tags: templates.map(({ text, path }) => ({ path, text: expandTemplate(text, {}) })),
    disabled,
    builds,
    unusedSets: space.unusedSets(),
    asWritten,
    ...(own && chosen !== undefined ? { workflow: chosen } : {}),
  };
}

/** A workflow that only has other jobs builds no image: it has `jobs` and no `tags` of its own. */
export function buildsImages(workflow: { tags?: unknown; jobs?: unknown }): boolean {
  return workflow.tags !== undefined || workflow.jobs === undefined;
}

/** Whether a path lies in an image, a group or an export of which the chosen workflow leaves all images out. */
function isIdle([top, name = '']: Path, raw: unknown, disabled: ReadonlySet<string>): boolean {
  if (top === 'images') return disabled.has(String(name));
  if (disabled.size === 0 || (top !== 'groups' && top !== 'exports')) return false;
  const images = valueAt(raw, top === 'groups' ? [top, name, 'images'] : [top, name, 'image']);
  const named = asTexts(top === 'groups' ? images : [images], []);
  return named.length > 0 && named.every(({ text }) => disabled.has(text));
}

interface Seen {
  /** What the file's own fields see: the chosen workflow's variables, then the file's. */
  base: Variables;
  /** What an image, a group or a workflow sees. */
  owner(top: 'images' | 'groups' | 'workflows', name: string): Variables;
}

/** Checks all layers, and gives each part of the file the variables that it sees. */
function seeAll(layers: Layers, space: VariableSpace, chosen: string | undefined): Seen {
  const around = [...(chosen === undefined ? [] : [layers.workflows.get(chosen) ?? new Map()]), layers.file];
  const base = space.see(around);
  for (const layer of around) base.check(layer);
  const found = new Map<string, Variables>();
  for (const top of ['images', 'groups', 'workflows'] as const) {
    for (const [name, layer] of layers[top]) {
      if (layer.size === 0 && top !== 'workflows') continue;
      const variables = space.see([layer, ...(top === 'workflows' ? [layers.file] : around)]);
      variables.check(layer);
      found.set(`${top}\0${name}`, variables);
    }
  }
  return { base, owner: (top, name) => found.get(`${top}\0${name}`) ?? base };
}

/** The image whose variables a default is shown with: the first one that takes it. */
function takerOf([, key, name]: Path, images: readonly [string, unknown][]): string | undefined {
  const taker = images.find(([, image]) => {
    const own = valueAt(image, [String(key)]);
    const isOwn = key === 'args' && asMap(own) ? valueAt(own, [String(name)]) !== undefined : own !== undefined;
    return !isOwn && asMap(image) !== undefined;
  });
  return taker?.[0];
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

/** Values of variables and build args may be written as numbers, see `scalarText`. */
function isScalarField(path: Path): boolean {
  const [top, name, field] = path;
  if (isVariable(path)) return path.length === (top === 'vars' ? 2 : 4);
  if (top === 'defaults') return name === 'args' && path.length === 3;
  return top === 'images' && field === 'args' && path.length === 4;
}

/** Variables are expanded where they are used. */
function isVariable([top, , field]: Path): boolean {
  return top === 'vars' || (field === 'vars' && (top === 'images' || top === 'groups' || top === 'workflows'));
}
