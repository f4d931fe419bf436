// For tests of how long something takes, on machines that have other work to do.

/** Ms of processor that this thread has taken: what other processes take meanwhile doesn't count. */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
