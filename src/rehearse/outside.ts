// Folders outside of a job's own that its pipeline names by absolute paths (`/tmp/workspace`). At CircleCI each job has a machine for
// itself; here such a folder is made for the job, by one job at a time, and removed after it. What was there before is never touched.
import { lstat, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

export type Borrowed = { ok: true; giveBack(): Promise<void> } | { ok: false; message: string };

let last: Promise<void> = Promise.resolve();

export async function borrowFolders(paths: string[]): Promise<Borrowed> {
  if (paths.length === 0) return { ok: true, giveBack: async () => undefined };
  const turn = last;
  let release: () => void = () => undefined;
  last = new Promise((done) => {
    release = done;
  });
  await turn;
  const made: string[] = [];
  const giveBack = async (): Promise<void> => {
    await Promise.all(made.map((path) => rm(path, { recursive: true, force: true })));
    release();
  };
  for (const path of paths) {
    const isOurs = made.some((own) => path === own || path.startsWith(`${own}/`));
    if (!isOurs && (await exists(path))) {
      await giveBack();
      return {
        ok: false,
        message: `${path} is this machine's own: use a folder that is not there yet, or one of the job's, as ~/workspace`,
      };
    }
    try {
      // The first folder that was made: it goes with all that is in it.
      const top = await mkdir(path, { recursive: true });
      if (top !== undefined && !isOurs) made.push(top);
    } catch (error) {
      await giveBack();
      return { ok: false, message: `${path} can't be made: ${error instanceof Error ? error.message : error}` };
    }
  }
  return { ok: true, giveBack };
}

async function exists(path: string): Promise<boolean> {
  return (
    dirname(path) === path ||
    (await lstat(path).then(
      () => true,
      () => false,
    ))
  );
}
