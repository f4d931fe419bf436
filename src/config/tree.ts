// Safe reads of data that may be of any shape: the rules look at whatever part of a broken file is sound.
import type { Path } from './parse.ts';

/** A text with its place. */
export interface Item {
  text: string;
  path: Path;
}

/** The map itself and no copy, which of one with ten thousand images would be made for each of them. */
export function asMap(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return isMap(value) ? value : undefined;
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asList(value: unknown): unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}

export function asText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Entries of a map; none if it is something else. */
export function entriesOf(value: unknown): [string, unknown][] {
  return Object.entries(asMap(value) ?? {});
}

/** The texts of a list; what else is in it is left to the schema. */
export function asTexts(value: unknown, path: Path): Item[] {
  return (asList(value) ?? []).flatMap((item, index) =>
    typeof item === 'string' ? [{ text: item, path: [...path, index] }] : [],
  );
}

/** The text under a key of a map, with its place. */
export function textAt(map: unknown, key: string, path: Path): Item | undefined {
  const text = asText(asMap(map)?.[key]);
  return text === undefined ? undefined : { text, path: [...path, key] };
}

/** The value at a path; undefined where there is none. */
export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    if (Array.isArray(value) !== (typeof step === 'number') || !Object.hasOwn(value, step)) return undefined;
    value = Reflect.get(value, step);
  }
  return value;
}
