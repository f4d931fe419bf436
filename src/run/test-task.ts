// The tests of an image: its own commands, run in what was built for one platform, by digest, before it is published.
import { type Failure, ok, type Result } from '../failure.ts';
import type { Lease } from '../fleet/fleet.ts';
import { sha256 } from '../image/digest.ts';
import type { Digest } from '../image/oci.ts';
import type { TestTask } from '../plan/plan.ts';
import { keyTag } from './build-key.ts';
import { type Built, onBuilder } from './build-task.ts';
import type { RunContext } from './context.ts';
import { keepUnder } from './keys.ts';

/** The same bits tested by the same commands need no second test. `digest`: of the image manifest. */
export function testKey(task: TestTask, digest: Digest): Digest {
  return sha256(JSON.stringify([1, digest, task.commands]));
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

/** Leaves word of the passed test in the registry: the image lies under the test's key as well. It is known to be there, an index of it may be gone. */
export async function markTested(
  task: TestTask,
  made: Built,
  run: RunContext,
  signal: AbortSignal,
): Promise<Result<void>> {
  return keepUnder(task, keyTag(testKey(task, made.child.descriptor.digest)), made.child.descriptor, run, signal);
}

/** Whether anybody has left word that it passed. */
export async function wasTested(
  task: TestTask,
  digest: Digest,
  { registry, registryAddress }: Pick<RunContext, 'registry' | 'registryAddress'>,
  signal: AbortSignal,
): Promise<Result<boolean>> {
  const reference = { registry: registryAddress, repository: task.repository, tag: keyTag(testKey(task, digest)) };
  const found = await registry.headManifest(reference, signal);
  return found.ok ? ok(found.value !== undefined) : found;
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
