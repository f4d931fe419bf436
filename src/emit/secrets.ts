// Refuses a pipeline that holds what nobody may read: it is committed, and a provider's own secrets are there for that.
import { type Diagnostic, type Failure, fail, ok, type Result } from '../failure.ts';
import { findsSecrets, secretValue, urlCredentials } from '../secret.ts';
import type { Job, Pipeline } from './pipeline.ts';

/** The files, unless one of them has the value of a secret in it, or a job has a source or an argument with credentials in a URL. */
export function withoutSecrets(
  files: Record<string, string>,
  pipeline: Pipeline,
  names: string[],
  env: Readonly<Record<string, string | undefined>>,
): Result<Record<string, string>> {
  const diagnostics: Diagnostic[] = [];
  const add = (message: string, help: string): void => {
    diagnostics.push({ code: 'secret-in-pipeline', severity: 'error', message, help });
  };
  const jobs = pipeline.workflows.flatMap((workflow) => workflow.jobs);
  for (const name of names) {
    const value = secretValue(name, env);
    if (value === undefined) continue;
    const finds = findsSecrets([value]);
    // A job of many images has a line for each in one text.
    const job = jobs.find((one) => textsOf(one).some((text) => text.split('\n').some(finds)))?.name;
    const file = Object.entries(files).find(([, text]) => finds(text))?.[0];
    if (job === undefined && file === undefined) continue;
    const where = job === undefined ? `${file} would` : `job '${job}' would`;
    const help = `take it out of the config's variables and of --set; the job has it as $${name.toUpperCase()} from the provider's secrets`;
    add(`${where} hold the value of the secret '${name}'`, help);
  }
  const exposed = new Set(jobs.filter((job) => textsOf(job).some(holdsCredentials)).map(({ name }) => name));
  for (const job of exposed) {
    const help =
      "leave them out of the URL; in the job, git takes them from a credential helper or from 'url.….insteadOf' of its config";
    add(`job '${job}' would hold the credentials of a URL`, help);
  }
  const failure: Failure = { kind: 'diagnostics', diagnostics };
  return diagnostics.length > 0 ? fail(failure) : ok(files);
}

/** What a job's scripts are given. */
function textsOf({ params, steps }: Job): string[] {
  const settings = steps.flatMap((step) => (step.kind === 'script' ? Object.values(step.parts?.settings ?? {}) : []));
  return [...Object.values(params), ...settings];
}

function holdsCredentials(text: string): boolean {
  return text.includes('://') && urlCredentials(text).some(isLiteral);
}

/** `$TOKEN` and `<< parameters.token >>` are none yet; nor is a name as short as `git`. */
function isLiteral(credential: string): boolean {
  return credential.length >= 8 && !/[$<{]/.test(credential);
}
