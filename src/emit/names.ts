// Names that a provider accepts for names that people chose, unique and as close as can be.

/**
 * A name for each of `names`. One that `clean` leaves alone stays as it is; others are cleaned, and numbered where they would meet another.
 * Names that differ in case alone count as the same, as GitHub has it.
 */
export function uniqueNames(
  names: Iterable<string>,
  clean: (name: string) => string,
  taken: Iterable<string> = [],
): Map<string, string> {
  const used = new Set([...taken].map((name) => name.toLowerCase()));
  const result = new Map<string, string>();
  const rest = new Set<string>();
  for (const name of new Set(names)) {
    if (clean(name) === name && !used.has(name.toLowerCase())) {
      used.add(name.toLowerCase());
      result.set(name, name);
    } else {
      rest.add(name);
    }
  }
  // Where a name left off counting: else a thousand that clean to the same would be counted through a thousand times.
  const next = new Map<string, number>();
  for (const name of rest) {
    const cleaned = clean(name);
    let candidate = cleaned;
    for (let count = next.get(cleaned) ?? 2; used.has(candidate.toLowerCase()); count++) {
      candidate = `${cleaned}-${count}`;
      next.set(cleaned, count + 1);
    }
    used.add(candidate.toLowerCase());
    result.set(name, candidate);
  }
  return result;
}

/** `Build base!` is `Build-base`: what fits file names, tags and most providers' ids. Never empty. */
export function slug(name: string): string {
  return (
    name
      .replace(/[^A-Za-z0-9_.-]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, 90) || 'unnamed'
  );
}
