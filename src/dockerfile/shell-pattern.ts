// The patterns of `${X#p}`, `${X%p}` and `${X/p/r}`, as BuildKit reads them (frontend/dockerfile/shell): `*`, `?` and escapes, no character
// classes. Not by regular expressions: `*a*a*a*a*b` would keep one busy for years, and a Dockerfile may come from anybody.

/** What BuildKit refuses in a pattern. */
export class PatternError extends Error {}

/** A pattern at its `*`s: each part is characters, or undefined for any one (`?`). There is one part more than there are `*`s. */
type Parts = (string | undefined)[][];

function parse(pattern: string): Parts {
  let part: (string | undefined)[] = [];
  const parts = [part];
  const points = [...pattern];
  for (let index = 0; index < points.length; index++) {
    const char = points[index] ?? '';
    if (char === '*') {
      part = [];
      parts.push(part);
    } else if (char === '?') part.push(undefined);
    else if (char !== '\\') part.push(char);
    else {
      const next = points[++index];
      if (next === undefined || !'*?\\}/'.includes(next)) throw new PatternError(`invalid escape '\\${next ?? ''}'`);
      part.push(next);
    }
  }
  return parts;
}

/** `${X#p}`, `${X##p}`, `${X%p}`, `${X%%p}`: a doubled sign takes as much as it can away. */
export function trim(value: string, operand: string, fromEnd: boolean): string {
  const greedy = operand.startsWith(fromEnd ? '%' : '#');
  const parts = parse(greedy ? operand.slice(1) : operand);
  const points = [...value];
  if (!fromEnd) {
    const found = matchAt(points, 0, parts);
    return typeof found === 'object' ? points.slice(greedy ? found.longest : found.shortest).join('') : value;
  }
  // A suffix is a prefix of what is read backwards.
  const backwards = parts.toReversed().map((part) => part.toReversed());
  const found = matchAt(points.toReversed(), 0, backwards);
  if (typeof found !== 'object') return value;
  return points.slice(0, points.length - (greedy ? found.longest : found.shortest)).join('');
}

/** `${X/pattern/replacement}` and `${X//pattern/replacement}`: each match as long as can be. */
export function replace(value: string, pattern: string, replacement: string, all: boolean): string {
  const parts = parse(pattern);
  const points = [...value];
  let result = '';
  let at = 0;
  let end = -1;
  while (at <= points.length) {
    const found = matchAt(points, at, parts);
    if (found === 'never') break;
    if (found === undefined || found.longest === at) {
      // Go's regexp matches nothing where nothing is, but not right behind a match.
      if (found && at !== end) {
        result += replacement;
        if (!all) break;
      }
      result += points[at] ?? '';
      at += 1;
      continue;
    }
    result += replacement;
    at = end = found.longest;
    if (!all) break;
  }
  return result + points.slice(at).join('');
}

/**
 * The ends of the shortest and the longest match that begins at `start`. Undefined: none begins there; `never`: nor anywhere behind it.
 * Parts are taken as early as they come; only the last one decides how long a match is.
 */
function matchAt(
  points: string[],
  start: number,
  parts: Parts,
): { shortest: number; longest: number } | 'never' | undefined {
  const [first = [], ...others] = parts;
  const last = others.pop();
  if (!fits(points, start, first)) return undefined;
  let at = start + first.length;
  if (!last) return { shortest: at, longest: at };
  const find = (part: Parts[number]): number | undefined => {
    for (let from = at; from + part.length <= points.length; from++) if (fits(points, from, part)) return from;
    return undefined;
  };
  for (const part of others) {
    const from = find(part);
    if (from === undefined) return 'never';
    at = from + part.length;
  }
  const early = find(last);
  if (early === undefined) return 'never';
  let late = points.length - last.length;
  while (late > early && !fits(points, late, last)) late--;
  return { shortest: early + last.length, longest: late + last.length };
}

function fits(points: string[], start: number, part: Parts[number]): boolean {
  return (
    start + part.length <= points.length &&
    part.every((char, index) => char === undefined || char === points[start + index])
  );
}
