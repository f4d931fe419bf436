// Reads splitbuild.yaml: parses it, expands its variables, checks shape and rules, and makes the config of it. A file that is
// YAML at all gets all its problems reported at once, each at its place.
import { fail, ok, type Result } from '../failure.ts';
import type { Config } from './config.ts';
import { checkShape } from './issues.ts';
import { normalise } from './normalise.ts';
import { parseConfig } from './parse.ts';
import { createProblems } from './problems.ts';
import { checkRules } from './rules.ts';
import { expandConfig } from './scopes.ts';
import { asMap } from './tree.ts';

export interface ReadOptions {
  /** Path of the file, absolute or from the working folder; named so in diagnostics. */
  file: string;
  env: Record<string, string | undefined>;
  /** Variables of the command line: they win over those of the file. */
  set: Record<string, string>;
  /** What git says of the folder of the file; a part is absent where git has none. */
  git?: { branch?: string; tag?: string; commit?: string };
  /** Name of the workflow to run; none is chosen without it. */
  workflow?: string;
  now?: Date;
}

/** Reads and checks a config. The failure is of kind `diagnostics` and holds all errors and warnings, in their order. */
export function readConfig(text: string, options: ReadOptions): Result<Config> {
  const parsed = parseConfig(text, options.file);
  if (!parsed.ok) return parsed;
  const problems = createProblems(parsed.value);
  const { env, set, git = {}, now = new Date(), workflow } = options;
  const outside = { env, set, git, now, ...(workflow === undefined ? {} : { workflow }) };
  const expanded = expandConfig(parsed.value, outside, problems);
  const isMap = asMap(parsed.value.value) !== undefined;
  const written = checkShape(isMap ? expanded.tree : parsed.value.value, parsed.value, problems);
  if (isMap) checkRules(expanded, problems);
  if (!written && !problems.hasErrors()) {
    // All that is wrong with the shape was silenced, for variables that this run need not know: then it is the shape that is told.
    const unsilenced = createProblems(parsed.value);
    checkShape(parsed.value.value, parsed.value, unsilenced);
    return fail({ kind: 'diagnostics', diagnostics: unsilenced.all() });
  }
  const found = problems.all();
  if (!written || problems.hasErrors()) return fail({ kind: 'diagnostics', diagnostics: found });
  const tags = expanded.tags.map((tag) => tag.text);
  const run = { file: options.file, tags, disabled: expanded.disabled };
  const config = normalise(written, expanded.workflow === undefined ? run : { ...run, workflow: expanded.workflow });
  return ok({ ...config, warnings: found });
}
