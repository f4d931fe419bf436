// Parameters and scripts of jobs in a provider's syntax.
import type { ScriptStep } from './pipeline.ts';

/** What only the provider knows, by the name that a parameter's value has for it. */
export interface Later {
  gitTag: string;
  branch: string;
  commit: string;
}

const token = /\$\{(gitTag|branch|commit)\}/g;

/** The value with the provider's own variables, everything else written so that the provider leaves it alone. */
export function providerValue(value: string, later: Later, quote: (literal: string) => string): string {
  let written = '';
  let last = 0;
  for (const match of value.matchAll(token)) {
    written += quote(value.slice(last, match.index));
    written += match[1] === 'gitTag' ? later.gitTag : match[1] === 'branch' ? later.branch : later.commit;
    last = match.index + match[0].length;
  }
  return written + quote(value.slice(last));
}

/** A script that fails at the first failing command, whether or not it says so itself. */
export function strict({ script, parts }: ScriptStep): string {
  return [script, parts?.body].some((text) => text !== undefined && /^set -eu\b/.test(text))
    ? script
    : `set -eu\n${script}`;
}
