// One writer for a folder: a second process that writes index.json files would lose the first one's tags.
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { fail, ok, type Result } from '../../failure.ts';
import { errorCode } from './disk.ts';

const holderSchema = z.object({ pid: z.number().int(), host: z.string(), started: z.string().optional() });
type Holder = z.infer<typeof holderSchema>;

/** Roots that this process holds: its own pid in a lock file is stale where it isn't here (pids start anew in containers). */
const ours = new Set<string>();

/** Takes `root/.lock`; the value gives it back. A lock whose process is dead is taken over. */
export async function lockFolder(root: string): Promise<Result<() => Promise<void>>> {
  const file = join(root, '.lock');
  const draft = join(root, `.lock-${randomBytes(6).toString('hex')}`);
  if (ours.has(file)) return held(file, { pid: process.pid, host: hostname() });
  // Before anything is awaited, or two calls of this process would take each other's lock for a stale one.
  ours.add(file);
  let taken = false;
  try {
    const me: Holder = { pid: process.pid, host: hostname(), ...(await startOf(process.pid)) };
    await writeFile(draft, JSON.stringify(me), { flag: 'wx' });
    for (let tries = 0; ; tries += 1) {
      try {
        // link, unlike rename, fails where the name is taken, and the lock is never seen half-written.
        await link(draft, file);
        taken = true;
        break;
      } catch (error) {
        if (errorCode(error) !== 'EEXIST') throw error;
      }
      const holder = await readHolder(file);
      if (holder && (await isAlive(holder))) return held(file, holder);
      if (tries > 5) return held(file, holder ?? me);
      await removeStale(file);
    }
  } finally {
    await rm(draft, { force: true });
    if (!taken) ours.delete(file);
  }
  return ok(async () => {
    await rm(file, { force: true });
    ours.delete(file);
  });
}

/** Two processes may find the same stale lock: the rename tells whose the removed one was, and a live one is put back. */
async function removeStale(file: string): Promise<void> {
  const aside = `${file}-stale-${randomBytes(6).toString('hex')}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  const taken = await readHolder(aside);
  if (taken && (await isAlive(taken))) await link(aside, file).catch(() => undefined);
  await rm(aside, { force: true });
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  // Of another machine or container nothing can be known, so it is left its lock.
  if (holder.host !== hostname()) return true;
  if (holder.pid === process.pid) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false;
  }
  const { started } = await startOf(holder.pid);
  return started === undefined || holder.started === undefined || started === holder.started;
}

/** When a process started, in ticks since boot (proc(5), stat, field 22): tells a reused pid. Linux only. */
async function startOf(pid: number): Promise<{ started?: string }> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return started === undefined ? {} : { started };
  } catch {
    return {};
  }
}

function held(file: string, holder: Holder): Result<never> {
  const elsewhere = holder.host === hostname() ? '' : ` on ${holder.host}`;
  return fail({
    kind: 'system',
    message: `process ${holder.pid}${elsewhere} already serves this registry folder`,
    where: file,
    help: elsewhere
      ? 'wait until it has ended, use another --state, or remove the file if that process is gone'
      : `wait until it has ended (ps -p ${holder.pid} shows it), or use another --state`,
  });
}
