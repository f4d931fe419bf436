// Scenarios side by side: a row for each, and how it compares with the first.
import type { Schedule } from '../plan/simulate.ts';
import { formatDuration } from './duration.ts';
import type { BuilderUse } from './forecast.ts';

export interface ScenarioOutcome {
  name: string;
  /** Undefined where it can't be done, for the reason given. */
  schedule?: Schedule;
  reason?: string;
  uses: BuilderUse[];
}

const heads = ['scenario', 'wall time', 'against first', 'critical path', 'slots', 'busy'];

/** Lines of a table. */
export function compareScenarios(outcomes: ScenarioOutcome[]): string[] {
  const first = outcomes[0]?.schedule;
  const rows = outcomes.map(({ name, schedule, reason, uses }) => {
    if (!schedule) return [name, `impossible: ${reason ?? ''}`];
    const slots = uses.reduce((sum, one) => sum + one.slots, 0);
    const busy = uses.reduce((sum, { busyMs }) => sum + busyMs, 0) / Math.max(1, slots * schedule.wallMs);
    return [
      name,
      formatDuration(schedule.wallMs),
      first && schedule.wallMs > 0 ? `${(first.wallMs / schedule.wallMs).toFixed(2)}x as fast` : '',
      formatDuration(schedule.critical.durationMs),
      String(slots),
      `${Math.round(busy * 100)} %`,
    ];
  });
  // A row that says why it is impossible has one long cell, which widens no column.
  const widths = heads.map((head, column) =>
    Math.max(
      head.length,
      ...rows.map((row) => (row.length === heads.length || column === 0 ? (row[column] ?? '').length : 0)),
    ),
  );
  return [heads, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
