// Reads splitbuild.yaml: parses it, expands its variables, checks shape and rules, and makes the config of it. A file that is
// YAML at all gets all its problems reported at once, each at its place.
import { fail, ok, type Result } from '../failure.ts';
import type { Config } from './config.ts';
import { withInherited } from './inherit.ts';
import { checkShape } from './issues.ts';
import { normalise } from './normalise.ts';
import { type ParsedFile, parseConfig } from './parse.ts';
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
  /**
   * What git says of the folder of the file; a part is absent where git has none. `later`: the config is for a CI run to come,
   * which is the first to know: `${gitTag}`, `${branch}` and `${commit}` stay in the texts.
   */
  git?: { branch?: string; tag?: string; commit?: string } | 'later';
  /** Name of the workflow to run; none is chosen without it. */
  workflow?: string;
  now?: Date;
}

/**
 * Reads and checks a config: its text, or what parseConfig made of it, for who reads it for several workflows. The failure is of kind
 * `diagnostics` and holds all errors and warnings, in their order.
 */
export function readConfig(source: string | ParsedFile, options: ReadOptions): Result<Config> {
  const parsed = typeof source === 'string' ? parseConfig(source, options.file) : ok(source);
  if (!parsed.ok) return parsed;
  const file = withInherited(parsed.value);
  const problems = createProblems(file);
  const { env, set, git = {}, now = new Date(), workflow } = options;
  const outside = { env, set, git, now, ...(workflow === undefined ? {} : { workflow }) };
  const expanded = expandConfig(file, outside, problems);
  const isMap = asMap(file.value) !== undefined;
  const written = checkShape(isMap ? expanded.tree : file.value, file, problems);
  if (isMap) checkRules(expanded, problems);
  if (!written && !problems.hasErrors()) {
    // All that is wrong with the shape was silenced, for variables that this run need not know: then it is the shape that is told.
    const unsilenced = createProblems(file);
    checkShape(file.value, file, unsilenced);
    return fail({ kind: 'diagnostics', diagnostics: unsilenced.all() });
  }
  const found = problems.all();
  if (!written || problems.hasErrors()) return fail({ kind: 'diagnostics', diagnostics: found });
  const tags = expanded.tags.map((tag) => tag.text);
  const { disabled, asWritten } = expanded;
  const run = { file: options.file, tags, disabled, asWritten };
  const config = normalise(written, expanded.workflow === undefined ? run : { ...run, workflow: expanded.workflow });
  return ok({ ...config, warnings: found });
}
