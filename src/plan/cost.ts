// What a plan's work costs on CI machines, by resource class or runner label. Pure.
import type { ByMachine, CiConfig } from '../config/config.ts';
import { formatPlatform } from '../image/platform.ts';
import { isForeign } from './emulated.ts';
import type { Estimate } from './estimate.ts';
import { emulationFactor } from './learn.ts';
import type { Plan, Task } from './plan.ts';

export interface ClassCost {
  /** Resource class (CircleCI), runner label or labels (GitHub), tags of runners (GitLab). */
  machine: string;
  /** Of work. Starting, queueing and rounding up are the provider's, and not in it. */
  minutes: number;
  /** Undefined where `costs` has nothing of this machine. */
  perMinute?: number;
  cost?: number;
}

export interface ProviderCost {
  provider: 'circleci' | 'github' | 'gitlab';
  /** `native`: a job a platform on a machine of its own; `emulated`: one job an image, with QEMU, on an amd64 machine. */
  placement: 'native' | 'emulated';
  classes: ClassCost[];
  /** Undefined where a class has no cost. */
  total?: number;
}

/** For each provider whose machines the config names, natively and emulated. */
export function costOf(
  plan: Plan,
  estimate: Pick<Estimate, 'base'>,
  { ci, costs }: { ci: CiConfig; costs: Readonly<Record<string, number>> },
): ProviderCost[] {
  const providers = [
    { provider: 'circleci' as const, machines: ci.circleci?.resourceClass },
    { provider: 'github' as const, machines: ci.github?.runners },
    { provider: 'gitlab' as const, machines: ci.gitlab?.tags },
  ];
  return providers.flatMap(({ provider, machines }) =>
    machines === undefined
      ? []
      : (['native', 'emulated'] as const).map((placement): ProviderCost => {
          const classes = costsByClass(plan, estimate, machines, placement, costs);
          const known = classes.flatMap(({ cost }) => cost ?? []);
          const total = known.reduce((sum, cost) => sum + cost, 0);
          return { provider, placement, classes, ...(known.length === classes.length ? { total } : {}) };
        }),
  );
}

function costsByClass(
  plan: Plan,
  estimate: Pick<Estimate, 'base'>,
  machines: ByMachine<string | string[]>,
  placement: 'native' | 'emulated',
  costs: Readonly<Record<string, number>>,
): ClassCost[] {
  const minutes = new Map<string, number>();
  for (const task of plan.tasks) {
    const machine = machineOf(task, machines, placement);
    const factor = placement === 'emulated' && isForeign(task) ? emulationFactor : 1;
    minutes.set(machine, (minutes.get(machine) ?? 0) + (estimate.base(task.id) * factor) / 60_000);
  }
  return [...minutes].map(([machine, spent]) => {
    const perMinute = Object.hasOwn(costs, machine) ? costs[machine] : undefined;
    return { machine, minutes: spent, ...(perMinute === undefined ? {} : { perMinute, cost: spent * perMinute }) };
  });
}

/** As the emitted pipeline chooses it; what the config leaves to the provider is its `default`. */
function machineOf(task: Task, machines: ByMachine<string | string[]>, placement: 'native' | 'emulated'): string {
  const { default: usual = 'default', emulated = usual } = machines;
  const amd64 = machines['linux/amd64'] ?? usual;
  const found = (): string | string[] => {
    if (task.kind === 'publish') return usual;
    if (placement === 'emulated') return emulated;
    return machines[formatPlatform(task.platform)] ?? (task.platform.architecture === '386' ? amd64 : usual);
  };
  return [found()].flat().join(', ');
}
