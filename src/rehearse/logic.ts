// Conditions of `when` and `unless`. https://circleci.com/docs/configuration-reference/#logic-statements
import { isDeepStrictEqual } from 'node:util';
import type { Path } from '../config/parse.ts';
import type { Problems } from '../config/problems.ts';
import { asList, asMap } from '../config/tree.ts';

/** Whether a condition holds whose parameters have their values. */
export function holds(condition: unknown, path: Path, problems: Problems): boolean {
  const map = asMap(condition);
  if (map) {
    const [entry, ...more] = Object.entries(map);
    if (!entry || more.length > 0) {
      problems.error('condition', path, 'a condition has one operator: and, or, not, equal or matches');
      return false;
    }
    return operator(entry[0], entry[1], [...path, entry[0]], problems);
  }
  if (typeof condition === 'string' && /^\s*(not\s+)?\(?\s*pipeline\.|\s(==|!=|and|or|starts-with)\s/.test(condition)) {
    problems.error('expression', path, 'expressions as texts are not worked out by a rehearsal', {
      help: 'write it as a map: equal: [ main, << pipeline.git.branch >> ]',
    });
    return false;
  }
  if (asList(condition)) {
    problems.error('condition', path, 'a condition is a value or a map, no list', { at: 'key' });
    return false;
  }
  // Falsy in CircleCI: false, null, 0, NaN, the empty text. Nothing else.
  return Boolean(condition);
}

function operator(name: string, value: unknown, path: Path, problems: Problems): boolean {
  const list = asList(value) ?? [];
  const each = (): boolean[] => list.map((item, index) => holds(item, [...path, index], problems));
  switch (name) {
    case 'and':
      return each().every(Boolean);
    case 'or':
      return each().some(Boolean);
    case 'not':
      return !holds(value, path, problems);
    case 'equal':
      return list.every((item) => isDeepStrictEqual(item, list[0]));
    case 'matches': {
      const { pattern, value: text } = asMap(value) ?? {};
      if (typeof pattern !== 'string' || typeof text !== 'string') {
        problems.error('condition', path, "'matches' has a pattern and a value, both texts", { at: 'key' });
        return false;
      }
      return wholeMatch(pattern, text) ?? false;
    }
    default:
      problems.error('condition', path, `'${name}' is no operator of a condition`, {
        at: 'key',
        help: 'they are and, or, not, equal and matches',
      });
      return false;
  }
}

/** Whether a pattern, with slashes or without, matches the whole text; undefined where it is no pattern. */
export function wholeMatch(pattern: string, text: string): boolean | undefined {
  try {
    return new RegExp(`^(?:${pattern.replace(/^\/(.*)\/$/s, '$1')})$`).test(text);
  } catch {
    return undefined;
  }
}
