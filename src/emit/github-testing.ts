// Reads a GitHub workflow back as GitHub does, for tests: matrices spread out, expressions evaluated.
import { parse } from 'yaml';

export interface ReadJob {
  needs: string[];
  /** Environment of the job. */
  params: Record<string, string>;
  scripts: string[];
}

/** What expressions are in a test. */
export const context: Record<string, string> = {
  "'{{'": '{{',
  'github.ref_name': 'REF',
  'github.sha': 'SHA',
};

/** What is read of a file; a test that meets another shape fails. */
interface WorkflowFile {
  jobs: Record<
    string,
    {
      name?: string;
      needs?: string[];
      strategy?: { matrix: { include: Row[] } };
      env?: Record<string, string>;
      steps: { run?: string }[];
    }
  >;
}

type Row = Record<string, string>;

export function readGithub(file: string): Map<string, ReadJob> {
  const workflow: WorkflowFile = parse(file, { uniqueKeys: true });
  const rowsOf = (id: string): Row[] => workflow.jobs[id]?.strategy?.matrix.include ?? [{}];
  const nameOf = (id: string, row: Row): string => evaluate(workflow.jobs[id]?.name ?? id, row);
  const jobs = new Map<string, ReadJob>();
  for (const [id, job] of Object.entries(workflow.jobs)) {
    for (const row of rowsOf(id)) {
      const name = nameOf(id, row);
      if (jobs.has(name)) throw new Error(`two jobs are ${name}`);
      const env = Object.entries(job.env ?? {});
      jobs.set(name, {
        needs: (job.needs ?? []).flatMap((need) => rowsOf(need).map((one) => nameOf(need, one))),
        params: Object.fromEntries(env.map(([variable, value]) => [variable, evaluate(value, row)])),
        scripts: job.steps.flatMap(({ run }) => (run === undefined ? [] : [evaluate(run, row)])),
      });
    }
  }
  return jobs;
}

function evaluate(text: string, row: Row): string {
  return text.replace(/\$\{\{ *(.*?) *\}\}/g, (_whole, expression: string) => {
    const [, column] = /^matrix\.(\w+)$/.exec(expression) ?? [];
    const value = column === undefined ? context[expression] : evaluate(row[column] ?? '', {});
    if (value === undefined) throw new Error(`no value for ${expression}`);
    return value;
  });
}
