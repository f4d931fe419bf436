// The scripts of GitLab's jobs: a body that several steps have is written once, and the jobs refer to it.
import { YAMLSeq } from 'yaml';
import type { Job, Pipeline, ScriptStep } from './pipeline.ts';
import { strict } from './values.ts';

/** Bodies that more than one step uses, by name. */
export function sharedBodies(pipeline: Pipeline): Map<string, string> {
  const counts = new Map<string, number>();
  const found = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, steps } of pipeline.workflows.flatMap(({ jobs }) => jobs)) {
    for (const [index, step] of steps.entries()) {
      if (step.kind !== 'script' || !step.parts || !step.script.endsWith(step.parts.body)) continue;
      const { uses, body } = step.parts;
      if ((found.get(uses) ?? body) !== body || seen.has(`${index} ${name}`)) continue;
      seen.add(`${index} ${name}`);
      found.set(uses, body);
      counts.set(uses, (counts.get(uses) ?? 0) + 1);
    }
  }
  return new Map([...found].filter(([uses]) => (counts.get(uses) ?? 0) > 1));
}

/**
 * GitLab runs all of it in one shell: a step that others follow or precede is kept to itself, unless its body is a shared one.
 * `holder`: the hidden job that has a body.
 */
export function scriptOf(job: Job, shared: ReadonlyMap<string, string>, holder: (uses: string) => string): unknown[] {
  const steps = job.steps.filter((step) => step.kind === 'script');
  if (steps.length === 0) return ['true'];
  return steps.flatMap((step) => {
    const { uses = '', body = '' } = step.parts ?? {};
    if (step.parts && shared.get(uses) === body && step.script.endsWith(body)) {
      const set = step.script.slice(0, step.script.length - body.length);
      const reference = new YAMLSeq();
      reference.tag = '!reference';
      reference.flow = true;
      reference.items = [holder(uses), 'script'];
      return [`${caption(step)}\n${set}`.trimEnd().concat('\n'), reference];
    }
    const text = `${strict(step)}\n`;
    return [`${caption(step)}\n${steps.length > 1 ? `(\n${text})\n` : text}`];
  });
}

/** The first line of a script is what GitLab's log shows of it. */
function caption({ name }: ScriptStep): string {
  return `# ${name.replace(/\s+/g, ' ').trim()}`;
}
