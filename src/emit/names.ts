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
  const distinct = [...new Set(names)];
  const untouched = new Set(distinct.filter((name) => clean(name) === name));
  const result = new Map<string, string>();
  // Those that can stay as they are come first: no other takes their name.
  for (const name of [...untouched, ...distinct.filter((one) => !untouched.has(one))]) {
    result.set(name, uniqueName(clean(name), used));
  }
  return result;
}

/** The name, or the name with the next free number; it is added to `used`, which has names in lower case. */
export function uniqueName(name: string, used: Set<string>): string {
  let candidate = name;
  for (let count = 2; used.has(candidate.toLowerCase()); count++) candidate = `${name}-${count}`;
  used.add(candidate.toLowerCase());
  return candidate;
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
