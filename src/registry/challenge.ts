// Reads WWW-Authenticate headers (RFC 9110, 11.6.1): which scheme a registry wants, and where its tokens come from.

export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  scheme: string;
  /** Names in lower case. */
  parameters: Record<string, string>;
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;

/** All challenges of all header lines, in order; what can't be read ends the line it is in. */
export function parseChallenges(header: string | string[] | undefined): Challenge[] {
  const lines = header === undefined ? [] : Array.isArray(header) ? header : [header];
  return lines.flatMap(parseLine);
}

function parseLine(line: string): Challenge[] {
  const challenges: Challenge[] = [];
  let at = 0;
  const skip = (pattern: RegExp): void => {
    pattern.lastIndex = at;
    if (pattern.test(line)) at = pattern.lastIndex;
  };
  const word = (): string | undefined => {
    token.lastIndex = at;
    const found = token.exec(line)?.[0];
    if (found !== undefined) at += found.length;
    return found;
  };
  for (;;) {
    skip(/[\s,]+/y);
    const name = word();
    if (name === undefined) return challenges;
    skip(/\s+/y);
    const current = challenges.at(-1);
    if (line[at] !== '=' || !current) {
      challenges.push({ scheme: name.toLowerCase(), parameters: {} });
      continue;
    }
    at += 1;
    skip(/\s+/y);
    const value = line[at] === '"' ? quoted(line, at) : undefined;
    if (value) {
      at = value.end;
      current.parameters[name.toLowerCase()] = value.text;
    } else {
      current.parameters[name.toLowerCase()] = word() ?? '';
    }
  }
}

function quoted(line: string, start: number): { text: string; end: number } {
  let text = '';
  let at = start + 1;
  while (at < line.length && line[at] !== '"') {
    if (line[at] === '\\') at += 1;
    text += line[at] ?? '';
    at += 1;
  }
  return { text, end: at + 1 };
}
