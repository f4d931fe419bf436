// The variables that a FROM knows: those above the first one, and the platforms that BuildKit fills in.
import { formatPlatform, type Platform } from '../image/platform.ts';
import type { ParsedDockerfile } from './instructions.ts';
import type { Problem } from './lines.ts';
import { lex } from './shell-lexer.ts';

export interface ArgOptions {
  platform: Platform;
  /** Platform of the machine that builds; the target's by default, as in BuildKit. */
  buildPlatform?: Platform;
  /** `--build-arg`s. */
  args: Record<string, string>;
  /** Name of a stage; the last one by default. */
  target?: string;
}

export type Args = Pick<ReadonlyMap<string, ArgValue>, 'get'>;

/** An ARG's value, and the ARGs without one that it was made from. */
export interface ArgValue {
  value: string;
  missing: string[];
}

/** The args that a FROM knows: BuildKit's own, then those above the first FROM, with the values of the build. */
export function globalArgs(parsed: ParsedDockerfile, options: ArgOptions): { args: Args; problems: Problem[] } {
  const problems: Problem[] = [];
  const { args: given } = options;
  const own = new Map<string, ArgValue>();
  const args: Args = {
    get: (name) => {
      const known = own.get(name);
      if (known) return known;
      const value = automatic(name, parsed, options);
      return value === undefined ? undefined : { value: givenValue(name) ?? value, missing: [] };
    },
  };
  const givenValue = (name: string): string | undefined =>
    Object.hasOwn(given, name) ? (given[name] ?? '') : undefined;
  for (const { name, value, range } of parsed.args) {
    const fromOutside = givenValue(name);
    if (fromOutside !== undefined) own.set(name, { value: fromOutside, missing: [] });
    else if (value !== undefined) {
      const expanded = expand(value, parsed, args);
      if (expanded.ok) own.set(name, expanded.value);
      else problems.push({ message: `the value of ARG ${name} can't be read: ${expanded.message}`, range });
      // Nobody reads more of them, and ARGs that double each other take their time.
      if (problems.length >= 3) break;
    }
  }
  return { args, problems };
}

/** What BuildKit fills in of itself; most Dockerfiles ask for none of it. */
function automatic(
  name: string,
  parsed: ParsedDockerfile,
  { platform, buildPlatform = platform, target }: ArgOptions,
): string | undefined {
  if (name === 'TARGETSTAGE') return target || parsed.stages.at(-1)?.name || 'default';
  const [, of, what] = /^(BUILD|TARGET)(PLATFORM|OS|OSVERSION|ARCH|VARIANT)$/.exec(name) ?? [];
  const meant = of === 'BUILD' ? buildPlatform : platform;
  switch (what) {
    case 'PLATFORM':
      return formatPlatform(meant);
    case 'OS':
      return meant.os;
    case 'OSVERSION':
      return '';
    case 'ARCH':
      return meant.architecture;
    case 'VARIANT':
      return meant.variant ?? '';
    default:
      return undefined;
  }
}

/** A word in which a shell finds nothing to do. */
const isPlain = /^[A-Za-z0-9_.:/@+-]+$/;

/** Of a value: forty lines of `ARG A=$A$A` would make one that no memory holds. */
const maxLength = 65_536;

/** Fills a word's variables in. */
export function expand(
  text: string,
  { escapeChar }: ParsedDockerfile,
  args: Args,
): { ok: true; value: ArgValue } | { ok: false; message: string } {
  if (isPlain.test(text) && text.length <= maxLength) return { ok: true, value: { value: text, missing: [] } };
  const lexed = lex(text, { escapeChar, lookup: (name) => args.get(name)?.value });
  if (!lexed.ok) return lexed;
  const { value, used, missing } = lexed.value;
  if (value.length > maxLength) return { ok: false, message: `it grows to over ${maxLength} characters` };
  return {
    ok: true,
    value: { value, missing: [...missing, ...used.flatMap((name) => args.get(name)?.missing ?? [])] },
  };
}

/** Says of each variable why it is not set. */
export function noValue(missing: string[], parsed: ParsedDockerfile): string {
  const declared = new Set(parsed.args.map(({ name }) => name));
  return [...new Set(missing)]
    .map((name) => (declared.has(name) ? `ARG ${name} has no value` : `no ARG ${name} stands above the first FROM`))
    .join('; ');
}
