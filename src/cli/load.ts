// What the commands share: the config, the family and the plan read with one set of options, failures printed in one way.
import { resolve } from 'node:path';
import type { Config } from '../config/config.ts';
import { type ParsedFile, parseConfig } from '../config/parse.ts';
import { readConfig } from '../config/read.ts';
import { readText } from '../config/read-text.ts';
import { secretNames } from '../config/secret-names.ts';
import { type Diagnostic, exitCode, type Failure, fail, ok, type Result } from '../failure.ts';
import { type Family, readFamily } from '../family/family.ts';
import { parsePlatforms } from '../image/platform.ts';
import { makePlan } from '../plan/make-plan.ts';
import type { Plan } from '../plan/plan.ts';
import { formatDiagnostic, formatFailure } from '../report/diagnostic.ts';
import { maskDiagnostic, maskFailure, secretsInArgs } from '../run/mask.ts';
import { createMask, secretValue } from '../secret.ts';

export { interruptSignal } from './interrupt.ts';

export interface FamilyOptions {
  config: string;
  set: string[];
  workflow?: string | undefined;
  platform: string[];
  state: string;
  json?: true | undefined;
}

export interface Loaded {
  config: Config;
  family: Family;
  plan: Plan;
}

export function color(): boolean {
  const { NO_COLOR, FORCE_COLOR } = process.env;
  if (NO_COLOR) return false;
  return FORCE_COLOR !== undefined ? FORCE_COLOR !== '0' : process.stderr.isTTY === true;
}

/** What a command prints of failures is masked by this: of credentials in URLs and, once a config is read, of its secrets. */
let mask = createMask([]);

/** From here on, failures are printed without the values of a config's secrets. */
export function hideSecretsOf(config: ParsedFile): void {
  mask = createMask(secretNames(config).flatMap((name) => secretValue(name, process.env) ?? []));
}

/** Prints a failure to stderr and gives the command's exit code. */
export function printFailure(failure: Failure): number {
  process.stderr.write(`${formatFailure(maskFailure(failure, mask), { color: color() })}\n`);
  return exitCode(failure);
}

export function printDiagnostics(diagnostics: Diagnostic[]): void {
  for (const diagnostic of diagnostics)
    process.stderr.write(`${formatDiagnostic(maskDiagnostic(diagnostic, mask), { color: color() })}\n`);
}

export async function loadConfig(options: Pick<FamilyOptions, 'config' | 'set' | 'workflow'>): Promise<Result<Config>> {
  const file = resolve(options.config);
  const text = await readText(file, {
    message: `there is no config at ${options.config}`,
    help: "write one (the README shows how), or name it with --config; 'splitbuild graph FOLDER' needs none",
  });
  if (!text.ok) return text;
  const set = parseSet(options.set);
  if (!set.ok) return set;
  const parsed = parseConfig(text.value, options.config);
  if (!parsed.ok) return parsed;
  hideSecretsOf(parsed.value);
  // A word of git's in the data or in what is set: whatever else it may mean there, git is asked.
  const namesGit = /gitTag|branch|commit/.test(JSON.stringify([parsed.value.value, set.value]));
  return readConfig(parsed.value, {
    file: options.config,
    env: process.env,
    set: set.value,
    git: namesGit ? await gitState(resolve(file, '..')) : {},
    now: new Date(),
    ...(options.workflow ? { workflow: options.workflow } : {}),
  });
}

/** `--set name=value` as variables. */
export function parseSet(pairs: string[]): Result<Record<string, string>> {
  const set: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) return fail({ kind: 'usage', message: `--set ${pair} has no value`, help: 'write --set name=value' });
    set[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return ok(set);
}

export async function load(images: string[], options: FamilyOptions, signal: AbortSignal): Promise<Result<Loaded>> {
  const platforms = parsePlatforms(options.platform);
  if (!platforms.ok) return platforms;
  const config = await loadConfig(options);
  if (!config.ok) return config;
  const family = await readFamily(config.value, resolve(options.state), signal);
  if (!family.ok) return family;
  const mirrored = config.value.images.flatMap((image) => (image.mirror === undefined ? [] : [image.name]));
  printDiagnostics([...family.value.warnings, ...leftAlone(config.value, mirrored)]);
  const plan = makePlan(config.value, family.value, { images, platforms: platforms.value });
  if (!plan.ok) return plan;
  const exposed = secretsInArgs(plan.value, process.env);
  return exposed ? fail(exposed) : ok({ config: config.value, family: family.value, plan: plan.value });
}

/** Said rather than passed over: who wrote it expects something to come of it. */
function leftAlone({ groups, exports, assets }: Config, mirrored: string[]): Diagnostic[] {
  const parts = [
    ...(Object.keys(groups).length > 0 ? ['groups'] : []),
    ...(Object.keys(assets).length > 0 ? ['assets'] : []),
  ];
  const whole = parts.map(
    (part): string => `'${part}' is for the pipeline (splitbuild ci generate): nothing is made of it here`,
  );
  const images = mirrored.map(
    (name) => `image '${name}' is a mirror, which the pipeline copies: it is left alone here`,
  );
  const files: Diagnostic[] =
    exports.length === 0
      ? []
      : [
          {
            code: 'left-alone',
            severity: 'warning',
            message: "'exports' are for the pipeline, or a command of their own: no file is written here",
            help: "once the images are published, 'splitbuild export' writes the files",
          },
        ];
  return [
    ...[...whole, ...images].map((message): Diagnostic => ({ code: 'left-alone', severity: 'warning', message })),
    ...files,
  ];
}

/** What git says of the working tree; nothing where there is none. */
async function gitState(cwd: string): Promise<{ branch?: string; tag?: string; commit?: string }> {
  const { execa } = await import('execa');
  const git = async (...args: string[]): Promise<string | undefined> => {
    const done = await execa('git', args, { cwd, reject: false, stdin: 'ignore' });
    return done.failed || done.stdout === '' ? undefined : done.stdout.trim();
  };
  const [branch, tag, commit] = await Promise.all([
    git('branch', '--show-current'),
    git('describe', '--tags', '--exact-match'),
    git('rev-parse', 'HEAD'),
  ]);
  return { ...(branch ? { branch } : {}), ...(tag ? { tag } : {}), ...(commit ? { commit } : {}) };
}
