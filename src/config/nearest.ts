// Finds what somebody meant who mistyped a name, and says what there is when nothing is near.
import { distance } from 'fastest-levenshtein';

/** The known name that is near enough to be meant: a slip of a letter or two, or the beginning of a longer name. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  const plain = fold(written);
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const other = fold(candidate);
    const begins = plain.length > 2 && (other.startsWith(plain) || (other.length > 2 && plain.startsWith(other)));
    const swapped = plain.length > 2 && sorted(plain) === sorted(other);
    const steps = begins || swapped ? 1 : distance(plain, other);
    if (steps < least && steps <= Math.floor(Math.max(plain.length, other.length) / 3)) {
      best = candidate;
      least = steps;
    }
  }
  return best;
}

/** Help for an unknown name: the near one, or all that there are. */
export function suggest(written: string, known: Iterable<string>, none = 'there is none'): string {
  const names = [...new Set(known)];
  const near = nearest(written, names);
  if (near !== undefined) return `did you mean '${near}'?`;
  if (names.length === 0) return none;
  const shown = names.slice(0, 20);
  return `known here: ${shown.join(', ')}${names.length > shown.length ? ', …' : ''}`;
}

function fold(name: string): string {
  return name.toLowerCase().replace(/[-_. ]/g, '');
}

function sorted(name: string): string {
  return [...name].sort().join('');
}
