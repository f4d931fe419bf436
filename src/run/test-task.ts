// The tests of an image: its own commands, run in what was built for one platform, by digest, before it is published.
import { type Failure, ok, type Result } from '../failure.ts';
import type { Lease } from '../fleet/fleet.ts';
import { sha256 } from '../image/digest.ts';
import type { TestTask } from '../plan/plan.ts';
import { type Built, onBuilder } from './build-task.ts';
import type { RunContext } from './context.ts';

/** The same bits tested by the same commands need no second test. */
export function testKey(task: TestTask, { child }: Built): string {
  return sha256(JSON.stringify([1, child.descriptor.digest, task.commands]));
}

/** Tag by which the processes of a run that is shared tell each other that a staged image passed. */
export function testedTag({ stagedTag }: Pick<Built, 'stagedTag'>): string {
  return `${stagedTag}-tested`;
}

/** Gives the name that the engine has the image under from then on. */
export async function runTest(
  task: TestTask,
  made: Built,
  lease: Lease,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<string>> {
  const { builder } = lease;
  const reference = `${builder.registryAddress}/${task.repository}@${made.child.descriptor.digest}`;
  const onLine = (line: string): void => run.emit({ type: 'task-output', task: task.id, line, time: run.clock.now() });
  for (const command of task.commands) {
    onLine(`$ ${typeof command === 'string' ? command : command.join(' ')}`);
    const done = await onBuilder(lease, run.clock, signal, (both) =>
      builder.engine.run({ reference, command, platform: task.platform, plainHttp: run.plainHttp }, onLine, both),
    );
    if (!done.ok) return done;
  }
  return ok(reference);
}

/** Leaves word of the passed test in the registry. */
export async function markTested(
  { repository }: TestTask,
  made: Built,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<void>> {
  const reference = { registry: run.registryAddress, repository, digest: made.child.descriptor.digest };
  const manifest = await run.registry.getManifest(reference, signal);
  if (!manifest.ok) return manifest;
  const { bytes, descriptor } = manifest.value;
  const tagged = { registry: run.registryAddress, repository, tag: testedTag(made) };
  const put = await run.registry.putManifest(tagged, bytes, descriptor.mediaType, signal);
  return put.ok ? ok(undefined) : put;
}

/** Whether a process of this run has left word that it passed. */
export async function wasTested(
  task: TestTask,
  made: Built,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<boolean>> {
  const reference = { registry: run.registryAddress, repository: task.repository, tag: testedTag(made) };
  const found = await run.registry.headManifest(reference, signal);
  return found.ok ? ok(found.value?.digest === made.child.descriptor.digest) : found;
}

export function untested(task: TestTask): Failure {
  return {
    kind: 'check',
    exitCode: 1,
    log: [],
    message: `'${task.image}' was not tested for this run, or did not pass`,
    help: "'splitbuild build --no-publish' with the same --run-id runs the tests where there is a builder of the platform",
  };
}
