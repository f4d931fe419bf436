// For tests of how long something takes, on machines that have other work to do, and of what happens on a disk that is full.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Ms of processor that this thread has taken: what other processes take meanwhile doesn't count. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** A real disk that fills up, a tmpfs with these options. It takes root on Linux to mount: elsewhere `mounted` is false. */
export function smallDisk(options: string): { folder: string; mounted: boolean; unmount(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'small-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]).status === 0;
  return {
    folder,
    mounted,
    unmount() {
      if (mounted) spawnSync('umount', [folder]);
      rmdirSync(folder);
    },
  };
}
