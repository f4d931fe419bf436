// Which paths of a context an engine is sent, by the rules of a .dockerignore as BuildKit reads them (moby/patternmatcher): the last rule
// that matches a path, or a folder above it, decides. What the rules say of a folder is handed down to what is in it, so that a path costs
// one test a rule however deep it lies, and a folder in which nothing can be kept is not even looked into.
import { posix } from 'node:path';

interface Rule {
  /** `!pattern`: what it matches is kept. */
  keeps: boolean;
  whole: Readings;
  /** One a component of the pattern; they end at the first with `**`, which goes as deep as it likes. */
  components: Readings[];
  anyDepth: boolean;
}

/**
 * Clients up to Docker 20.10 give `+`, `(`, `)`, `|`, `{`, `}` and `^` the meaning that they have in a regular expression; later ones take
 * them as they are. Something is left out only where all clients leave it out: a file too many in a key costs a build, one too few makes a
 * wrong one.
 */
type Readings = RegExp[];

/** What the rules say of a path. */
export interface Verdict {
  ignored: boolean;
  /** Of a folder that is ignored: a rule may keep something in it all the same. */
  mayHoldKept: boolean;
  /** Which rules match it or a folder above it, for what is below. */
  matched: Uint8Array;
}

export interface IgnoreRules {
  /** Of the context itself. */
  top: Verdict;
  /** Of a path (relative, with `/`), by the verdict on the folder that it is in. */
  judge(path: string, parent: Verdict): Verdict;
}

/** Rules that can't be read match nothing: the engine is who refuses them. */
export function readIgnoreRules(text: string | undefined): IgnoreRules {
  const rules = (text ?? '')
    .replace(/^\uFEFF/, '')
    .split('\n')
    .flatMap(readRule);
  const top: Verdict = { ignored: false, mayHoldKept: false, matched: new Uint8Array(rules.length) };
  if (rules.length === 0) return { top, judge: () => top };
  return {
    top,
    judge(path, parent) {
      const matched = Uint8Array.from(parent.matched);
      let last = -1;
      for (const [index, { whole, keeps }] of rules.entries()) {
        if (matched[index] === 0 && matches(whole, path, keeps)) matched[index] = 1;
        if (matched[index] === 1) last = index;
      }
      const ignored = last >= 0 && rules[last]?.keeps === false;
      // Below, only a later rule can change that; those that match the folder itself, or one above it, are all earlier.
      const mayHoldKept = ignored && rules.slice(last + 1).some((rule) => rule.keeps && mayMatchBelow(rule, path));
      return { ignored, mayHoldKept, matched };
    },
  };
}

function matches(readings: Readings, text: string, keeps: boolean): boolean {
  return keeps ? readings.some((reading) => reading.test(text)) : readings.every((reading) => reading.test(text));
}

function mayMatchBelow({ components, anyDepth }: Rule, folder: string): boolean {
  const names = folder.split('/');
  if (components.length <= names.length && !anyDepth) return false;
  return components.slice(0, names.length).every((component, at) => matches(component, names[at] ?? '', true));
}

/** A line, as moby/patternmatcher/ignorefile reads it: a comment begins in the first column, a path is cleaned and has no leading slash. */
function readRule(line: string): Rule[] {
  const trimmed = line.trim();
  if (line.startsWith('#') || trimmed === '') return [];
  const keeps = trimmed.startsWith('!');
  const written = keeps ? trimmed.slice(1).trim() : trimmed;
  const pattern =
    written === ''
      ? ''
      : posix
          .normalize(written)
          .replace(/^\/(?=.)/, '')
          .replace(/(?<=.)\/$/, '');
  if (pattern === '') return [];
  const names = pattern.split('/');
  const deep = names.findIndex((name) => name.includes('**'));
  const whole = compile(pattern);
  if (whole.length === 0) return [];
  return [{ keeps, whole, components: (deep < 0 ? names : names.slice(0, deep)).map(compile), anyDepth: deep >= 0 }];
}

/** `**` stands for any number of folders, `*` and `?` for what has no slash, `[…]` for one character, `\` takes a character as it is. */
function compile(pattern: string): Readings {
  let source = '';
  let older = '';
  const add = (now: string, before = now): void => {
    source += now;
    older += before;
  };
  for (let at = 0; at < pattern.length; at += 1) {
    const rest = pattern.slice(at);
    const stars = /^\*\*\/?/.exec(rest)?.[0];
    const range = /^\[\^?(?:\\.|[^\]\\])+\]/.exec(rest)?.[0];
    const escaped = /^\\(.)/su.exec(rest);
    const character = rest[0] ?? '';
    if (stars) {
      add(at + stars.length === pattern.length ? '.*' : '(.*\\/)?');
      at += stars.length - 1;
    } else if (range) {
      add(range);
      at += range.length - 1;
    } else if (escaped?.[1]) {
      add(literal(escaped[1]));
      at += escaped[1].length;
    } else if (character === '*') add('[^/]*');
    else if (character === '?') add('[^/]');
    else add(literal(character), '+()|{}^'.includes(character) ? character : literal(character));
  }
  return [...new Set([source, older])].flatMap(toExpression);
}

/** Nothing where it is none; the engine is who refuses the pattern. */
function toExpression(source: string): RegExp[] {
  try {
    return [new RegExp(`^${source}$`)];
  } catch {
    return [];
  }
}

function literal(character: string): string {
  return character.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
