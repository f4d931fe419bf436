// What a clean-up is about to delete, written before it does: so it can be looked up, put back, and gone on with.
import { closeSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Failure, fail, ok, type Result } from '../failure.ts';
import { type Digest, digestSchema } from '../image/oci.ts';

/** A line of the file. */
export type RecordLine =
  /** Written before anything of the repository is deleted. */
  | {
      type: 'planned';
      /** Ms since the epoch. */
      time: number;
      registry: string;
      repository: string;
      tag?: string;
      digest: Digest;
      mediaType?: string;
      /** Of manifest, config and layers, where nothing else needs them. */
      bytes: number;
      /** The manifest itself, to be pushed again while its blobs are still there. */
      manifest?: string;
    }
  | { type: 'deleted'; time: number; repository: string; tag?: string; digest: Digest }
  | { type: 'kept'; time: number; repository: string; tag?: string; digest: Digest; because: string };

export interface DeletionRecord {
  file: string;
  append(lines: RecordLine[]): Result<void>;
  close(): void;
}

/** `folder/<id>.jsonl`, made when there is something to write. */
export function openRecord(folder: string, id: string): DeletionRecord {
  const file = join(folder, `${id}.jsonl`);
  let opened: number | undefined;
  return {
    file,
    append(lines) {
      if (lines.length === 0) return ok(undefined);
      try {
        if (opened === undefined) mkdirSync(folder, { recursive: true });
        opened ??= openSync(file, 'a', 0o600);
        // As the journal does: what a full disk took only a part of is not written.
        writeFileSync(opened, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
        fsyncSync(opened);
        return ok(undefined);
      } catch (error) {
        return fail(unwritable(error, file));
      }
    },
    close() {
      if (opened !== undefined) closeSync(opened);
    },
  };
}

const plannedSchema = z.looseObject({
  type: z.literal('planned'),
  time: z.number(),
  registry: z.string(),
  repository: z.string(),
  digest: digestSchema,
});

/** Manifests that earlier clean-ups meant to delete, by registry and repository, and when; a broken-off one may have left some. */
export async function readPlanned(folder: string): Promise<Map<string, Map<Digest, number>>> {
  const planned = new Map<string, Map<Digest, number>>();
  for (const name of await readdir(folder).catch(() => [])) {
    if (!name.endsWith('.jsonl')) continue;
    for (const line of (await readFile(join(folder, name), 'utf8').catch(() => '')).split('\n')) {
      const parsed = plannedSchema.safeParse(parseJson(line));
      if (!parsed.success) continue;
      const { registry, repository, digest, time } = parsed.data;
      const key = `${registry}/${repository}`;
      planned.set(key, (planned.get(key) ?? new Map<Digest, number>()).set(digest, time));
    }
  }
  return planned;
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function unwritable(error: unknown, file: string): Failure {
  return {
    kind: 'system',
    message: `what is deleted can't be written down: ${error instanceof Error ? error.message : String(error)}`,
    where: file,
    help: 'make room, or give another folder with --state; nothing is deleted that isn’t written down first',
  };
}
