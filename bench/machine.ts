// The machine that figures are of: without it they say nothing.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** One line for people. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const model = (cpu?.model ?? 'unknown CPU').replace(/\s+/g, ' ').trim();
  const memory = Math.round(totalmem() / (1 << 30));
  return `${cpus().length} cores of ${model}, ${memory} GiB of memory, ${distribution()}, Linux ${release()}, Node ${process.versions.node}`;
}

/** Processes that wanted a core in the last minute: above the number of cores, others were at work. */
export function load(): number {
  return loadavg()[0] ?? 0;
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux';
  } catch {
    return process.platform;
  }
}
