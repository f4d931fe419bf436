// Keeps the values of secrets out of everything that a run says and publishes: its events, which go to the journal, to logs and to
// screens, are masked, and a plan that would write a value into an image, a tag or an argument is refused.
import type { Diagnostic, Failure } from '../failure.ts';
import type { Plan, Task } from '../plan/plan.ts';
import { createMask, findsSecrets, type Mask, maskTexts, secretValue, urlCredentials } from '../secret.ts';
import type { Emit } from './event.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What is to be masked in a run of a plan: the values of its secrets, and credentials in the URLs among its arguments. */
export function secretValues(plan: Plan, env: Env): string[] {
  const named = namesOf(plan).flatMap((name) => secretValue(name, env) ?? []);
  const inUrls = plan.tasks.flatMap((task) =>
    task.kind === 'build' ? Object.values(task.args).flatMap(urlCredentials) : [],
  );
  return [...new Set([...named, ...inUrls])];
}

/** An emitter whose events are masked. URLs lose their credentials also where no value is known. */
export function maskSecrets(emit: Emit, values: readonly string[]): Emit {
  const mask = createMask(values);
  return (event) => {
    const masked = maskTexts(event, mask, kept);
    emit(event.type === 'task-failed' ? { ...event, failure: maskFailure(event.failure, mask) } : masked);
  };
}

/** A failure of a run or of what comes before it, masked. */
export function maskFailure(failure: Failure, mask: Mask): Failure {
  if (failure.kind !== 'diagnostics') return maskTexts(failure, mask, kept);
  return { ...failure, diagnostics: failure.diagnostics.map((one) => maskDiagnostic(one, mask)) };
}

const maskUrls = createMask([]);

/** Where a value was in the message, the help goes: what it says to write instead is often the same value, spelled otherwise. */
export function maskDiagnostic(diagnostic: Diagnostic, mask: Mask): Diagnostic {
  const { help, ...masked } = maskTexts(diagnostic, mask, kept);
  return help === undefined || masked.message !== maskUrls(diagnostic.message) ? masked : { ...masked, help };
}

/**
 * Names of tasks, and what identifies what was made: events are matched by these, and a later run goes on by them. None comes from a
 * secret; one that looked the same by chance would make the journal useless.
 */
const kept: ReadonlySet<string> = new Set([
  ...['type', 'kind', 'code', 'severity', 'id', 'task', 'needs', 'run', 'criticalPath', 'mode', 'platform'],
  ...['digest', 'previous', 'stagedTag', 'key', 'commit', 'tag', 'repository', 'unit', 'mediaType'],
]);

/** Docker and BuildKit leave these out of an image's history: https://docs.docker.com/reference/dockerfile/#predefined-args */
const proxies = /^(http|https|ftp|no|all)_proxy$/i;

/**
 * The refusal of a plan that would publish a secret's value: as a build argument, in a tag or in a repository's name. It says where,
 * and never the value.
 */
export function secretsInArgs(plan: Plan, env: Env): Failure | undefined {
  const secrets = namesOf(plan).flatMap((name) => {
    const value = secretValue(name, env);
    return value === undefined ? [] : [{ name, found: findsSecrets([value]) }];
  });
  const problems = new Map<string, Diagnostic>();
  for (const task of plan.tasks) {
    for (const { what, text, arg } of publicTexts(task)) {
      const holder = `${what} of image '${task.image}'`;
      for (const { name } of secrets.filter(({ found }) => found(text))) {
        const help = `leave it out there; a Dockerfile reads it with RUN --mount=type=secret,id=${name}`;
        add(`${holder} holds the value of the secret '${name}', and whoever has the image can read it there`, help);
      }
      if (arg === undefined || proxies.test(arg) || !urlCredentials(text).some(looksSecret)) continue;
      const help = `name a variable under 'secrets' instead, and read it in the Dockerfile with RUN --mount=type=secret,id=…`;
      add(`${holder} is a URL with credentials in it, and whoever has the image can read them there`, help);
    }
  }
  function add(message: string, help: string): void {
    problems.set(message, { code: 'secret-in-arg', severity: 'error', message, help });
  }
  return problems.size === 0 ? undefined : { kind: 'diagnostics', diagnostics: [...problems.values()] };
}

/** A name as `git` or `ci` gives nothing away; a token is longer. */
function looksSecret(credential: string): boolean {
  return credential.length >= 8;
}

/** What of a task everybody can read once it is done. */
function publicTexts(task: Task): { what: string; text: string; arg?: string }[] {
  const texts: { what: string; text: string; arg?: string }[] = [{ what: 'the repository', text: task.repository }];
  if (task.kind === 'build') {
    for (const [arg, text] of Object.entries(task.args)) texts.push({ what: `build argument '${arg}'`, text, arg });
  }
  if (task.kind === 'publish') {
    const tags = [...task.tags, ...task.builds.flatMap(({ archTags }) => archTags)];
    texts.push(...tags.map((text) => ({ what: 'a tag', text })));
  }
  return texts;
}

function namesOf(plan: Plan): string[] {
  return [...new Set(plan.tasks.flatMap((task) => (task.kind === 'build' ? task.secrets : [])))];
}
