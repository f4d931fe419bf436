// The maps of variables in a file: the file's own, a workflow's, an image's or a group's. A field sees some of them, the nearest
// first; they are not merged, so that each variable keeps the place where it is written.
import type { ParsedFile, Path } from './parse.ts';
import type { Problems } from './problems.ts';
import { laterNames } from './template.ts';
import { asList, asMap, entriesOf, type Item } from './tree.ts';

/** Variables by name, each with its text and its place. */
export type Layer = ReadonlyMap<string, Item>;

export interface Layers {
  file: Layer;
  workflows: ReadonlyMap<string, Layer>;
  images: ReadonlyMap<string, Layer>;
  groups: ReadonlyMap<string, Layer>;
}

/** Reads all of them; names that can't be used are reported. */
export function readLayers(raw: Record<string, unknown>, parsed: ParsedFile, problems: Problems): Layers {
  const layer = (owner: unknown, path: Path): Layer => {
    const named = entriesOf(asMap(owner)?.vars).map(([name, value]): [string, Item] => {
      const place = [...path, 'vars', name];
      checkVariableName(name, place, problems);
      const text = scalarText(value, place, parsed);
      // A list or map is refused by the schema; it still is a name that exists.
      return [name, { text: asList(text) || asMap(text) ? '' : String(text), path: place }];
    });
    return new Map(named);
  };
  const each = (top: string): Map<string, Layer> =>
    new Map(entriesOf(raw[top]).map(([name, owner]) => [name, layer(owner, [top, name])]));
  return { file: layer(raw, []), workflows: each('workflows'), images: each('images'), groups: each('groups') };
}

export function checkVariableName(name: string, path: Path, problems: Problems): void {
  if (laterNames.has(name)) {
    const help = name === 'tag' ? "write tags under 'tags' or in a workflow" : 'choose another name';
    problems.error('reserved-variable', path, `'\${${name}}' has a value of its own`, { at: 'key', help });
  } else if (!/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) {
    const help = 'use letters, digits, _ . and -, a letter first';
    problems.error('variable-name', path, `'${name}' is no name for a variable`, { at: 'key', help });
  }
}

/** Values of variables and build args may be written as numbers; then what stands in the file counts (3.10 is not 3.1). */
export function scalarText(value: unknown, path: Path, parsed: ParsedFile): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? (parsed.spot(path)?.written ?? value) : value;
}

/** What to say of a variable that a field does not see and another one does. */
export function hintsOf({ workflows, images, groups }: Layers): ReadonlyMap<string, string> {
  const hints = new Map<string, string>();
  const add = (kind: string, layers: ReadonlyMap<string, Layer>, help: string): void => {
    for (const [owner, layer] of layers)
      for (const name of layer.keys()) if (!hints.has(name)) hints.set(name, `${kind} '${owner}' ${help}`);
  };
  add(
    'workflow',
    workflows,
    "gives it a value: choose that with --workflow, or give it one under 'vars' at the top too",
  );
  add('image', images, "has it for itself: write it under 'vars' at the top");
  add('group', groups, "has it for itself: write it under 'vars' at the top");
  return hints;
}
