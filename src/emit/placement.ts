// Which of a provider's machines a job asks for: never silently one of another platform.
import { fail, ok, type Result } from '../failure.ts';
import { formatPlatform, parsePlatform } from '../image/platform.ts';
import type { Job } from './pipeline.ts';

/** By `default`, `emulated` and platforms. */
export type Machines<Machine> = Readonly<Record<string, Machine>>;

/**
 * @param given as the user wrote them
 * @param known what the provider offers to everyone, used for what is not given
 * @param setting where the user gives them: `ci.github.runners`
 */
export function machineOf<Machine>(
  job: Job,
  given: Machines<Machine>,
  known: Machines<Machine>,
  setting: string,
): Result<Machine | undefined> {
  const own = named(given);
  const offered = named(known);
  const usual = own.get('default') ?? offered.get('default');
  const large = job.large ? own.get('emulated') : undefined;
  if (large !== undefined) return ok(large);
  if (!job.platform) return ok(usual);
  const platform = formatPlatform(job.platform);
  const machine = own.get(platform) ?? offered.get(platform);
  if (machine !== undefined) return ok(machine);
  // An amd64 kernel runs 386 natively.
  if (platform === 'linux/amd64' || platform === 'linux/386') return ok(own.get('linux/amd64') ?? usual);
  return fail({
    kind: 'placement',
    message: `no machine is known for ${platform}`,
    where: `CI job '${job.name}'`,
    help: `name one in ${setting}, under '${platform}'`,
  });
}

function named<Machine>(machines: Machines<Machine>): Map<string, Machine> {
  const entries = Object.entries(machines).map(([key, machine]): [string, Machine] => {
    if (key === 'default' || key === 'emulated') return [key, machine];
    const platform = parsePlatform(key);
    return [platform.ok ? formatPlatform(platform.value) : key, machine];
  });
  return new Map(entries);
}
