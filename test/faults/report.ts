// Results of the fault lab as tables: for the end of a run, and as Markdown for docs/reliability.md:
// node test/faults/report.ts [--into docs/reliability.md] FILE… (--into puts it between the document's figures marks).
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { kinds } from './schedule.ts';

const resultSchema = z.object({
  seed: z.number(),
  number: z.number(),
  publish: z.string(),
  ms: z.number(),
  events: z.number().optional(),
  runs: z.array(
    z.object({
      code: z.number().nullable(),
      signal: z.string().nullable(),
      events: z.number(),
      ms: z.number(),
      faults: z.array(z.object({ kind: z.string(), detail: z.string(), hits: z.number() })),
      mixed: z.array(z.unknown()),
    }),
  ),
  violations: z.array(z.object({ invariant: z.string(), text: z.string() })),
});
export type Result = z.infer<typeof resultSchema>;

/** A Markdown table: for each kind of fault how often it came about, and what was lost in the schedules that it came about in. */
export function summarize(results: Result[]): string {
  const rows = kinds.map((kind) => {
    const hit = results.filter(({ runs }) =>
      runs.some(({ faults }) => faults.some((one) => one.kind === kind && one.hits > 0)),
    );
    const faults = hit.flatMap(({ runs }) => runs.flatMap((run) => run.faults.filter((one) => one.kind === kind)));
    const requests = kind.startsWith('http-') ? faults.reduce((sum, { hits }) => sum + hits, 0) : undefined;
    const times = faults.filter(({ hits }) => hits > 0).length;
    const lost = hit.filter(({ violations }) => violations.length > 0).length;
    return [
      kind,
      `${times}${requests === undefined ? '' : ` (${requests} requests)`}`,
      String(hit.length),
      String(lost),
    ];
  });
  const head = ['fault', 'injected', 'schedules', 'of them with a loss'];
  const runs = results.flatMap((result) => result.runs);
  const killed = new Set(
    runs.flatMap(({ faults }) =>
      faults.flatMap(({ kind, detail, hits }) => {
        const at = /event (\d+)/.exec(detail)?.[1];
        return kind === 'splitbuild-kill' && hits > 0 && at ? [Number(at)] : [];
      }),
    ),
  );
  const events = Math.max(0, ...results.map((result) => result.events ?? 0));
  const points = [...killed].filter((at) => at <= events).length;
  const failed = results.filter(({ violations }) => violations.length > 0);
  const idle = runs.filter(({ faults }) => faults.every(({ hits }) => hits === 0));
  const longest = Math.max(0, ...runs.map(({ ms }) => ms));
  const worst = Math.max(0, ...results.map(({ runs: all }) => all.length));
  return [
    ...[head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`),
    '',
    `${results.length} schedules, ${runs.length} runs, ${(results.reduce((sum, { ms }) => sum + ms, 0) / 60_000).toFixed(0)} minutes. Killed at ${points} of the ${events} events of a run. ` +
      `Runs until all was published: ${worst} at most. In between for a moment (after a kill, or with no registry): ${runs.filter(({ mixed }) => mixed.length > 0).length} runs. Runs without faults that failed nonetheless: ${idle.filter(({ code }) => code !== 0).length} of ${idle.length}. Longest run: ${(longest / 1000).toFixed(0)} s. Schedules in which something was lost: ${failed.length}.`,
    ...count(failed.flatMap(({ violations }) => [...new Set(violations.map(({ invariant }) => invariant))])),
  ].join('\n');
}

function count(invariants: string[]): string[] {
  const names = [...new Set(invariants)];
  return names.map((name) => `- ${name}: violated in ${invariants.filter((one) => one === name).length} schedules`);
}

/** The document with the figures between its marks. */
export function insertFigures(document: string, figures: string): string {
  const start = '<!-- figures -->';
  const end = '<!-- /figures -->';
  const from = document.indexOf(start);
  const to = document.indexOf(end);
  if (from < 0 || to < from) throw new Error(`the document has no ${start} … ${end}`);
  return `${document.slice(0, from + start.length)}\n${figures}\n${document.slice(to)}`;
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({ options: { into: { type: 'string' } }, allowPositionals: true });
  const results = positionals.flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => resultSchema.parse(JSON.parse(line))),
  );
  const figures = summarize(results);
  if (values.into) writeFileSync(values.into, insertFigures(readFileSync(values.into, 'utf8'), figures));
  else process.stdout.write(`${figures}\n`);
}
