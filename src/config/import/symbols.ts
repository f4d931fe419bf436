// Texts of a pipeline whose parts are not known yet: a job's parameter, what git says, a variable of the environment. A symbol is a
// name between private-use characters, so that texts with symbols are still texts: they can be joined, split and compared.

export type SymbolKind =
  /** Parameter of a job. */
  | 'param'
  /** `gitTag`, `branch`, `commit` or `date`: what the config's own variable of that name gives. */
  | 'config'
  /** Variable of the environment that the pipeline does not set. */
  | 'env'
  /** What a command prints, by the name of the variable that it goes into. */
  | 'output';

const pattern = /\uE000(\w+)\uE003([^\uE001]*)\uE001/g;

export function symbol(kind: SymbolKind, name: string): string {
  return `\uE000${kind}\uE003${name}\uE001`;
}

export function hasSymbol(text: string): boolean {
  return text.includes('\uE000');
}

/** Replaces symbols; those for which there is no answer stay. */
export function replaceSymbols(text: string, by: (kind: string, name: string) => string | undefined): string {
  return text.replace(pattern, (whole, kind: string, name: string) => by(kind, name) ?? whole);
}

export function symbolsOf(text: string): { kind: string; name: string }[] {
  return [...text.matchAll(pattern)].map(([, kind = '', name = '']) => ({ kind, name }));
}

/** Gives parameters their values, and theirs, as far as they are known. */
export function concrete(text: string, params: Readonly<Record<string, string>>): string {
  let result = text;
  for (let round = 0; round < 5; round++) {
    const next = replaceSymbols(result, (kind, name) => (kind === 'param' ? params[name] : undefined));
    if (next === result || next.length > 100_000) break;
    result = next;
  }
  return result;
}

/** As a person would write it: `${gitTag}`, `${NAME}`. */
export function readable(text: string): string {
  return replaceSymbols(text, (_kind, name) => `\${${name}}`);
}
