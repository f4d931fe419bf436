// Collects what is wrong with a config, each problem at its place in the file; the reader returns them all at once.
import type { Diagnostic } from '../failure.ts';
import { byPlace, type ParsedFile, type Path, type Span } from './parse.ts';
import type { Item } from './tree.ts';

/** What of the value at a path is underlined: itself, its key, both, or words that it holds. */
export type Place = 'value' | 'key' | 'pair' | { words: string };

export interface Detail {
  help?: string;
  /** `value` unless said; a list or map is shown by its key. */
  at?: Place;
}

export interface Problems {
  error(code: string, path: Path, message: string, detail?: Detail): void;
  warn(code: string, path: Path, message: string, detail?: Detail): void;
  /** The value at this path is not known (a variable has none): whatever else is said of it would be noise. */
  silence(path: Path): void;
  isSilenced(path: Path): boolean;
  /** The value at this path holds names of git's that get their values later. */
  defer(path: Path): void;
  /** The text that rules of form are tried on: such names, which stay in the text, count as a letter. */
  formOf(item: Item): string;
  hasErrors(): boolean;
  /** In the order of the file, each once. */
  all(): Diagnostic[];
}

/** As in `gitNames`. */
export const gitToken = /\$\{(?:gitTag|branch|commit)\}/g;

export function createProblems(parsed: ParsedFile): Problems {
  const found = new Map(parsed.warnings.map((warning) => [JSON.stringify(warning), warning]));
  const silenced = new Set<string>();
  const deferred = new Set<string>();
  // Asked for every value of the file, nearly always of none that are silenced.
  const isSilenced = (path: Path): boolean => silenced.size > 0 && silenced.has(path.join('\0'));
  const isDeferred = (path: Path): boolean => deferred.size > 0 && deferred.has(path.join('\0'));
  const add = (
    severity: Diagnostic['severity'],
    code: string,
    path: Path,
    message: string,
    { help, at = 'value' }: Detail = {},
  ): void => {
    if (isSilenced(path) && at !== 'key' && typeof at === 'string') return;
    const location = parsed.locate(spanOf(parsed, path, at));
    const diagnostic: Diagnostic = { code, severity, message, location, ...(help ? { help } : {}) };
    // Without the line's text, which may be long and is the same at the same place.
    const { text: _, ...place } = location;
    found.set(JSON.stringify([severity, code, message, place, help]), diagnostic);
  };
  return {
    error: (code, path, message, detail) => add('error', code, path, message, detail),
    warn: (code, path, message, detail) => add('warning', code, path, message, detail),
    silence: (path) => void silenced.add(path.join('\0')),
    isSilenced,
    defer: (path) => void deferred.add(path.join('\0')),
    formOf: ({ text, path }) => (isDeferred(path) ? text.replace(gitToken, 'x') : text),
    hasErrors: () => [...found.values()].some(({ severity }) => severity === 'error'),
    all: () => [...found.values()].sort(byPlace),
  };
}

/** The span to underline; of the nearest thing around it where the path itself is not in the file. */
function spanOf(parsed: ParsedFile, path: Path, at: Place): Span {
  const spot = parsed.spot(path);
  if (!spot) return path.length === 0 ? { start: 0, end: 1 } : spanOf(parsed, path.slice(0, -1), 'key');
  const { key, value, scalar } = spot;
  if (typeof at === 'object') {
    const offset = scalar ? parsed.text.slice(value.start, value.end).indexOf(at.words) : -1;
    if (offset >= 0) return { start: value.start + offset, end: value.start + offset + at.words.length };
  }
  if (key && (at === 'key' || !scalar)) return key;
  if (key && at === 'pair') return { start: key.start, end: Math.max(key.end, value.end) };
  return scalar || path.length > 0 ? value : { start: value.start, end: value.start + 1 };
}
