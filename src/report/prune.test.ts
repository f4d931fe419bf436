// The table of a clean-up, compared whole.
import { expect, test } from 'vitest';
import type { Pruned } from '../prune/prune.ts';
import { formatPrune } from './prune.ts';

const now = Date.parse('2026-11-25T06:00:00Z');
const digest = `sha256:${'ab'.repeat(32)}`;
const style = { color: false, now };
const pruned: Pruned = {
  repository: 'r.example/team/app',
  capability: { tags: false, digests: true },
  decision: {
    items: [
      { tag: 'pr-1', digest, why: "matches --tags 'pr-*'", time: now - 30 * 86_400_000, bytes: 0, action: 'along' },
      { digest, why: 'of pr-1', bytes: 12_300_000, action: 'delete' },
      { tag: 'pr-2', digest, why: "matches --tags 'pr-*'", bytes: 0, action: 'keep', because: 'develop needs it' },
    ],
    spared: new Map([['pr-3', 'not old enough']]),
    kept: 4,
  },
  done: [],
};

test('a dry run shows what would go, and ends in how to do it', () => {
  expect(formatPrune({ dryRun: true, repositories: [pruned] }, style)).toEqual([
    'r.example/team/app',
    '  TAG OR DIGEST        WHY                    AGE      SIZE     ACTION',
    "  pr-1                 matches --tags 'pr-*'  30 days           delete with its manifest",
    '  sha256:abababababab  of pr-1                         12.3 MB  delete',
    "  pr-2                 matches --tags 'pr-*'                    keep: develop needs it",
    '  pr-3 stays: not old enough',
    '',
    "Would delete 1 tag and 1 manifest of 12.3 MB; 1 can't be deleted there; 4 tags stay. Nothing was deleted: --yes does it.",
  ]);
});

test('what was done ends in where it is written down, and what failed is counted', () => {
  const [tag, manifest] = pruned.decision.items;
  if (!tag || !manifest) throw new Error();
  const done: Pruned['done'] = [
    { item: tag, outcome: 'deleted' },
    { item: manifest, outcome: 'failed', because: 'r.example answered 500' },
  ];
  const lines = formatPrune({ dryRun: false, repositories: [{ ...pruned, done }], record: 'a.jsonl' }, style);
  expect(lines[3]).toBe(
    '  sha256:abababababab  of pr-1                         12.3 MB  failed: r.example answered 500',
  );
  expect(lines.at(-1)).toBe(
    "Deleted 1 tag and 0 manifests of 0.0 kB; 1 failed; 1 can't be deleted there; 4 tags stay. Written down in a.jsonl.",
  );
});

test('where there is nothing to do, one line says so', () => {
  const idle = { ...pruned, decision: { items: [], spared: new Map(), kept: 1 } };
  expect(formatPrune({ dryRun: true, repositories: [idle] }, style)).toEqual(['Nothing to delete; 1 tag stays.']);
});
