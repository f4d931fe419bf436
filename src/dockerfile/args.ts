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

export type Args = ReadonlyMap<string, ArgValue>;

/** An ARG's value, and the ARGs without one that it was made from. */
export interface ArgValue {
  value: string;
  missing: string[];
}

/** The args that a FROM knows: BuildKit's own, then those above the first FROM, with the values of the build. */
export function globalArgs(parsed: ParsedDockerfile, options: ArgOptions): { args: Args; problems: Problem[] } {
  const problems: Problem[] = [];
  const { platform, buildPlatform = platform, args: given, target } = options;
  const args = new Map<string, ArgValue>();
  const set = (name: string, value: string): unknown =>
    args.set(name, { value: Object.hasOwn(given, name) ? (given[name] ?? '') : value, missing: [] });
  for (const [prefix, of] of [['BUILD', buildPlatform] as const, ['TARGET', platform] as const]) {
    set(`${prefix}PLATFORM`, formatPlatform(of));
    set(`${prefix}OS`, of.os);
    set(`${prefix}OSVERSION`, '');
    set(`${prefix}ARCH`, of.architecture);
    set(`${prefix}VARIANT`, of.variant ?? '');
  }
  set('TARGETSTAGE', target || parsed.stages.at(-1)?.name || 'default');
  for (const { name, value, range } of parsed.args) {
    if (Object.hasOwn(given, name)) set(name, '');
    else if (value !== undefined) {
      const expanded = expand(value, parsed, args);
      if (expanded.ok) args.set(name, expanded.value);
      else problems.push({ message: `the value of ARG ${name} can't be read: ${expanded.message}`, range });
      // Nobody reads more of them, and ARGs that double each other take their time.
      if (problems.length >= 3) break;
    }
  }
  return { args, problems };
}

/** Of a value: forty lines of `ARG A=$A$A` would make one that no memory holds. */
const maxLength = 65_536;

/** Fills a word's variables in. */
export function expand(
  text: string,
  { escapeChar }: ParsedDockerfile,
  args: Args,
): { ok: true; value: ArgValue } | { ok: false; message: string } {
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
