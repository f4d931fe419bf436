// An image that the audit refused, though what it was made of says otherwise, may be an engine's mistake: one whose connection was cut, or
// which was killed, can keep files of one platform for another in its cache. So it is built once more, past that cache.
import { ok, type Result } from '../failure.ts';
import type { Child } from '../image/join.ts';
import type { BuildTask, Plan } from '../plan/plan.ts';
import type { RunContext } from './context.ts';
import type { History } from './journal.ts';

/** Whether what was found under a key is to be built anew: it was refused once, and would be refused by the config of now as well. */
export async function isSuspect(
  task: BuildTask,
  key: string,
  child: Child,
  plan: Plan,
  history: Pick<History, 'refused'>,
  run: Pick<RunContext, 'audit'>,
  signal: AbortSignal,
): Promise<Result<boolean>> {
  const refused = history.refused.get(task.id);
  // Refused twice, it is what the Dockerfile says.
  if (refused?.key !== key || refused.runs.size !== 1) return ok(false);
  const publish = plan.tasks.find((one) => one.kind === 'publish' && one.image === task.image);
  if (publish?.kind !== 'publish' || publish.audit.mode !== 'stop') return ok(false);
  const { image: name, repository, platform } = task;
  const found = await run.audit(
    { name, repository, platform, descriptor: child.descriptor },
    publish.audit.allow,
    signal,
  );
  return found.ok ? ok(found.value.length > 0) : found;
}
