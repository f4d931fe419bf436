// What a clean-up would delete or has deleted, as a table for people; the last line sums it up.
import stringWidth from 'string-width';
import type { Decision, Item } from '../prune/decide.ts';
import type { Deletion } from '../prune/delete.ts';
import type { Pruned } from '../prune/prune.ts';
import type { Collected } from '../registry/embedded/collect.ts';
import { paint } from './paint.ts';

export interface PruneReport {
  dryRun: boolean;
  repositories: Pruned[];
  /** Where what was deleted is written down. */
  record?: string;
  /** What the embedded registry freed. */
  collected?: Collected;
}

export interface PruneStyle {
  color: boolean;
  /** Ms since the epoch. */
  now: number;
}

type Row = { item: Item; action: string; note?: string };

export function formatPrune(report: PruneReport, style: PruneStyle): string[] {
  const blocks = report.repositories.flatMap((pruned) => block(pruned, report, style));
  const left = (report.collected?.left ?? []).map(
    (folder) => `${folder} has a manifest that can't be read: no blob of it is freed`,
  );
  return [...blocks, ...left, summary(report)];
}

function block(pruned: Pruned, report: PruneReport, style: PruneStyle): string[] {
  const { repository, decision, capability } = pruned;
  const rows = report.dryRun ? decision.items.map(toBe) : [...pruned.done.map(asDone), ...held(decision)];
  if (rows.length === 0 && decision.spared.size === 0) return [];
  const lines = [paint('bold', repository, style.color)];
  if (capability.doubt && 'message' in capability.doubt) {
    lines.push(`  whether it lets you delete isn't known: ${capability.doubt.message}`);
  } else if (!capability.tags && !capability.digests) {
    lines.push(
      '  it takes no deletions (405); where it is yours, its configuration enables them, else its own clean-up has to do',
    );
  }
  if (rows.length > 0) {
    const cells = rows.map((row) => [
      row.item.tag ?? shortDigest(row.item.digest),
      row.item.why,
      age(row.item.time, style.now),
      row.item.tag === undefined ? bytes(row.item.bytes) : '',
      row.note === undefined ? row.action : `${row.action}: ${row.note}`,
    ]);
    lines.push(...table([['TAG OR DIGEST', 'WHY', 'AGE', 'SIZE', 'ACTION'], ...cells]));
  }
  for (const [tag, why] of decision.spared) lines.push(`  ${tag} stays: ${why}`);
  return [...lines, ''];
}

function toBe(item: Item): Row {
  const note = item.because === undefined ? {} : { note: item.because };
  return { item, action: item.action === 'along' ? 'delete with its manifest' : item.action, ...note };
}

function asDone({ item, outcome, because }: Deletion): Row {
  return { item, action: outcome === 'spared' ? 'kept' : outcome, ...(because === undefined ? {} : { note: because }) };
}

function held(decision: Decision): Row[] {
  return decision.items.filter(({ action }) => action === 'keep').map(toBe);
}

function summary({ dryRun, repositories, record, collected }: PruneReport): string {
  const going = repositories.flatMap(({ decision, done }) =>
    dryRun
      ? decision.items.filter(({ action }) => action !== 'keep')
      : done.flatMap(({ item, outcome }) => (outcome === 'deleted' ? [item] : [])),
  );
  const failed = repositories.flatMap(({ done }) => done.filter(({ outcome }) => outcome === 'failed'));
  const stuck = repositories.flatMap(({ decision }) => decision.items.filter(({ action }) => action === 'keep'));
  const kept = repositories.reduce((sum, { decision }) => sum + decision.kept, 0);
  const cant = stuck.length === 0 ? '' : `; ${stuck.length} can't be deleted there`;
  const stay = `${plural(kept, 'tag')} ${kept === 1 ? 'stays' : 'stay'}`;
  if (going.length === 0 && failed.length === 0) {
    const freed =
      collected && collected.blobs > 0 ? ` ${plural(collected.blobs, 'blob')} freed: ${bytes(collected.bytes)}.` : '';
    return `Nothing to delete${cant}; ${stay}.${freed}`;
  }
  const tags = going.filter(({ tag }) => tag !== undefined).length;
  const size = going.reduce((sum, item) => sum + item.bytes, 0);
  const what = `${plural(tags, 'tag')} and ${plural(going.length - tags, 'manifest')} of ${bytes(size)}`;
  if (dryRun) return `Would delete ${what}${cant}; ${stay}. Nothing was deleted: --yes does it.`;
  const wrong = failed.length === 0 ? '' : `; ${failed.length} failed`;
  const freed = collected ? `, ${bytes(collected.bytes)} freed` : '';
  return `Deleted ${what}${freed}${wrong}${cant}; ${stay}.${record === undefined ? '' : ` Written down in ${record}.`}`;
}

function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => stringWidth(row[column] ?? ''))));
  return rows.map((row) =>
    `  ${row.map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - stringWidth(cell)))).join('  ')}`.trimEnd(),
  );
}

function shortDigest(digest: string): string {
  const [algorithm, hash] = digest.split(':');
  return `${algorithm}:${hash?.slice(0, 12) ?? ''}`;
}

/** `12 days`, `3 h`; empty where it isn't known. */
function age(time: number | undefined, now: number): string {
  if (time === undefined) return '';
  const hours = Math.max(0, Math.floor((now - time) / 3_600_000));
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

function bytes(count: number): string {
  return count < 100_000 ? `${(count / 1e3).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
