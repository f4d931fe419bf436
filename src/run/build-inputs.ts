// What a build depends on in files: its Dockerfile, the ignore rules, and the context that an engine would be sent.
import { readFile } from 'node:fs/promises';
import { fail, ok, type Result } from '../failure.ts';
import type { Digest } from '../image/oci.ts';
import type { BuildTask } from '../plan/plan.ts';
import { contextDigest, readIgnore } from './build-key.ts';

export interface BuildInputs {
  /** Text, not yet pinned. */
  dockerfile: string;
  /** Text of the ignore rules; undefined where there are none. */
  ignore: string | undefined;
  /** Of all files that an engine would be sent. */
  context: Digest;
}

export async function readInputs(task: BuildTask): Promise<Result<BuildInputs>> {
  try {
    const dockerfile = await readFile(task.dockerfile, 'utf8');
    const ignore = await readIgnore(task.dockerfile, task.context);
    return ok({ dockerfile, ignore, context: await contextDigest(task.context, ignore) });
  } catch (error) {
    return fail({
      kind: 'system',
      message: `the context of '${task.image}' can't be read: ${error instanceof Error ? error.message : String(error)}`,
      where: task.context,
    });
  }
}
