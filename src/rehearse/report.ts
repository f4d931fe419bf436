// A rehearsal for people: a log that only grows, each line with the job that it is of.
import { formatDuration } from '../report/duration.ts';
import { paint, type Style } from '../report/paint.ts';
import type { Output } from '../report/reporter.ts';
import type { Emit } from './event.ts';

export function createReport(out: Output, { color, verbose }: { color: boolean; verbose: boolean }): Emit {
  const ends = { success: 0, failed: 0, canceled: 0, skipped: 0 };
  const print = (job: string, text: string, style?: Style): void =>
    void out.write(`${paint('cyan', `[${job}]`, color)} ${style ? paint(style, text, color) : text}\n`);
  const line = (text: string, style?: Style): void => void out.write(`${style ? paint(style, text, color) : text}\n`);
  return (event) => {
    switch (event.type) {
      case 'rehearsal-started':
        line(`${event.workflow} for ${event.ref}: ${count(event.jobs.length, 'job')}`);
        for (const note of event.notes) line(`note: ${note}`);
        return;
      case 'job-started':
        return print(event.job, event.docker === undefined ? 'started' : `started, docker at ${event.docker}`);
      case 'job-note':
        return print(event.job, event.text, 'yellow');
      case 'step-started':
        return print(event.job, event.step);
      case 'step-output':
        return verbose ? print(event.job, `  | ${event.line}`) : undefined;
      case 'step-finished':
        return print(event.job, `  done in ${formatDuration(event.durationMs)}`);
      case 'step-failed':
        if (!verbose) for (const text of event.log) print(event.job, `  | ${text}`);
        return print(event.job, `✖ ${event.step}: ${event.message}`, 'red');
      case 'job-finished': {
        ends[event.end] += 1;
        const words = { success: 'job done in', failed: 'job failed after', canceled: 'job stopped after' }[event.end];
        const style = event.end === 'success' ? 'green' : event.end === 'failed' ? 'red' : 'yellow';
        return print(event.job, `${words} ${formatDuration(event.durationMs)}`, style);
      }
      case 'job-skipped':
        ends.skipped += 1;
        return print(event.job, `not run: ${event.because}`, 'yellow');
      case 'rehearsal-finished': {
        const parts = [
          `${ends.success} succeeded`,
          ...(ends.failed > 0 ? [`${ends.failed} failed`] : []),
          ...(ends.canceled > 0 ? [`${ends.canceled} stopped`] : []),
          ...(ends.skipped > 0 ? [`${ends.skipped} not run`] : []),
        ];
        const style = event.outcome === 'success' ? 'green' : event.outcome === 'failed' ? 'red' : 'yellow';
        line(
          `${event.outcome === 'interrupted' ? 'Interrupted' : 'Done'} after ${formatDuration(event.durationMs)}: ${parts.join(', ')}`,
          style,
        );
        const { jobs, durationMs } = event.longest;
        if (jobs.length > 0)
          line(`Longest chain: ${count(jobs.length, 'job')}, ${formatDuration(durationMs)}: ${jobs.join(' → ')}`);
        return;
      }
    }
  };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
