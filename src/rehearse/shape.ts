// Checks a part of the file against its schema, and says in words of the file what is wrong with it, at its place.
import type { z } from 'zod';
import { suggest } from '../config/nearest.ts';
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import { asList, asMap } from '../config/tree.ts';

/** The value if it has the shape; else undefined, and the problems hold why. `known` names keys to suggest, by path. */
export function checkShape<T>(
  schema: z.ZodType<T>,
  value: unknown,
  path: Path,
  problems: Problems,
  known: (path: Path) => string[] = () => [],
): T | undefined {
  const result = schema.safeParse(value);
  for (const issue of result.error?.issues ?? []) report(issue, value, path, problems, known);
  return result.data;
}

function report(
  issue: z.core.$ZodIssue,
  value: unknown,
  base: Path,
  problems: Problems,
  known: (path: Path) => string[],
): void {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
  if (isMissing(issue.path, value)) {
    const owner = path.slice(0, -1);
    problems.error('missing-key', owner, `${nameOf(owner)} has no '${path.at(-1)}'`, { at: 'key' });
    return;
  }
  if (issue.code === 'unrecognized_keys') {
    const all = known(path);
    for (const key of issue.keys) {
      const detail = all.length > 0 ? { help: suggest(key, all) } : {};
      problems.error('unknown-key', [...path, key], `'${key}' is not known in ${nameOf(path)}`, {
        at: 'key',
        ...detail,
      });
    }
    return;
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.find((issues) => issues.every((one) => one.path.length > 0));
    if (inner) {
      for (const one of inner) report(one, valueAt(issue.path, value), path, problems, known);
      return;
    }
    const kinds = issue.errors.flatMap((issues) => issues.flatMap((one) => expected(one) ?? []));
    const wanted = kinds.length > 0 ? [...new Set(kinds)].join(' or ') : 'something else';
    problems.error('wrong-type', path, `${nameOf(path)} must be ${wanted}`, { at: 'pair' });
    return;
  }
  problems.error('wrong-type', path, `${nameOf(path)} must be ${expected(issue) ?? 'something else'}`, { at: 'pair' });
}

function valueAt(path: readonly PropertyKey[], value: unknown): unknown {
  return path.reduce<unknown>(
    (within, step) => (typeof step === 'number' ? asList(within)?.[step] : asMap(within)?.[String(step)]),
    value,
  );
}

function isMissing(path: readonly PropertyKey[], value: unknown): boolean {
  const last = path.at(-1);
  const owner = asMap(valueAt(path.slice(0, -1), value));
  return last !== undefined && owner !== undefined && !Object.hasOwn(owner, last);
}

function expected(issue: z.core.$ZodIssue): string | undefined {
  if (issue.code === 'invalid_value') return issue.values.join(', ');
  if (issue.code !== 'invalid_type') return undefined;
  switch (issue.expected) {
    case 'string':
      return 'text';
    case 'array':
      return 'a list';
    case 'object':
    case 'record':
      return 'a map';
    case 'boolean':
      return 'true or false';
    case 'number':
      return 'a number';
    default:
      return undefined;
  }
}

const singular: Record<string, string> = {
  jobs: 'job',
  commands: 'command',
  executors: 'executor',
  workflows: 'workflow',
  parameters: 'parameter',
};

/** `job 'build'`, `'steps'`, `item 2 of 'steps'`. */
export function nameOf(path: Path): string {
  const last = path.at(-1);
  if (last === undefined) return 'the file';
  if (typeof last === 'number') return `item ${last + 1} of '${path.at(-2)}'`;
  const owner = String(path.at(-2));
  const kind = Object.hasOwn(singular, owner) ? singular[owner] : undefined;
  return kind ? `${kind} '${last}'` : `'${last}'`;
}
