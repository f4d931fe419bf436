// What a comparison of platforms or releases found, as a table for people and as JSON for machines (docs/verify.md has its shape).
import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';
import type { Area, Difference } from '../image/parity/difference.ts';
import type { Comparison, ParityReport } from '../image/parity/parity.ts';
import { paint } from './paint.ts';

/** Rows of one area that are printed; the rest is counted, and is in the JSON. */
const rowsOfArea = 20;
/** What packages bring on one platform only is theirs to say; a few show of what kind it is. */
const pathsOfPackages = 3;
const widestName = 60;
const widestValue = 40;
const widestReason = 60;

/** Ends with a line end. */
export function renderParity(image: string, report: ParityReport, color: boolean): string {
  const lines: string[] = [];
  if (report.platforms.length > 0) lines.push(...table(report.platforms, ['before', 'now'], color), '');
  for (const comparison of report.comparisons) lines.push(...comparisonLines(comparison, color), '');
  lines.push(lastLine(image, report, color));
  return `${lines.join('\n')}\n`;
}

/** As it is compared, with values by the column's name and `null` for what a column does not have. */
export function parityJson(image: string, against: string | undefined, report: ParityReport): string {
  const byColumn = (columns: string[]) => (difference: Difference) => ({
    ...difference,
    values: Object.fromEntries(columns.map((column, index) => [column, difference.values[index] ?? null])),
  });
  const json = {
    image,
    ...(against === undefined ? {} : { against }),
    alike: report.alike,
    platforms: report.platforms.map(byColumn(['before', 'now'])),
    comparisons: report.comparisons.map((comparison) => ({
      ...comparison,
      differences: comparison.differences.map(byColumn(comparison.columns.map(({ name }) => name))),
    })),
  };
  return `${JSON.stringify(json, undefined, 2)}\n`;
}

function comparisonLines({ platform, columns, differences, files }: Comparison, color: boolean): string[] {
  const names = columns.map(({ name }) => name);
  const lines = platform === undefined ? [] : [paint('bold', platform, color)];
  const matter = differences.filter(({ matters }) => matters);
  const told = differences.filter(({ matters }) => !matters);
  if (matter.length > 0) lines.push(...table(matter, names, color), '');
  if (told.length > 0) lines.push('Only told:', ...table(told, names, color), '');
  const counts = columns.map(({ packages, databases, size }, index) => {
    const { compared = 0, ignored = 0 } = files.counts[index] ?? {};
    const manager =
      databases.length === 0 ? 'no package manager' : `${counted(packages, 'package')} of ${databases.join(' and ')}`;
    return [
      names[index] ?? '',
      manager,
      counted(compared, 'file'),
      `${ignored} not compared`,
      `${(size / 1e6).toFixed(1)} MB`,
    ];
  });
  lines.push(...align(counts));
  if (files.otherSize > 0) lines.push(`Of another size: ${counted(files.otherSize, 'file')}`);
  for (const { columns: having, ofPackages, count, first } of files.notEverywhere) {
    const what = `${counted(count, 'file')}${ofPackages ? ' of packages' : ''}`;
    lines.push(`Only in ${having.join(' and ')}: ${what}`);
    const shown = first.slice(0, ofPackages ? pathsOfPackages : rowsOfArea);
    lines.push(...shown.map(({ path, within }) => `  ${visible(path)}${within === 0 ? '' : ` and ${within} in it`}`));
    const left = count - shown.reduce((sum, { within }) => sum + within + 1, 0);
    if (left > 0) lines.push(`  … and ${left} more`);
  }
  return lines;
}

function table(differences: Difference[], columns: string[], color: boolean): string[] {
  const rows = [['', '', ...columns]];
  for (const [area, all] of Map.groupBy(differences, (difference) => difference.area)) {
    for (const { name, values, reason = '' } of all.slice(0, rowsOfArea)) {
      const cells = values.map((value) => cliTruncate(value === undefined ? '—' : quoted(area, value), widestValue));
      rows.push([
        area,
        cliTruncate(visible(name), widestName, { position: 'start' }),
        ...cells,
        cliTruncate(reason, widestReason),
      ]);
    }
    if (all.length > rowsOfArea) rows.push([area, `… and ${all.length - rowsOfArea} more (--json)`]);
  }
  const [head = '', ...lines] = align(rows);
  return [paint('dim', head, color), ...lines];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A variable that is there and empty is seen to be. */
function quoted(area: Area, value: string): string {
  return value === '' && (area === 'environment' || area === 'label') ? '(empty)' : visible(value);
}

function align(rows: string[][]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, stringWidth(cell));
  }
  return rows.map((row) =>
    row
      .map((cell, index) => cell + ' '.repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(cell))))
      .join('  ')
      .trimEnd(),
  );
}

function lastLine(image: string, report: ParityReport, color: boolean): string {
  const matter = [...report.platforms, ...report.comparisons.flatMap(({ differences }) => differences)].filter(
    ({ matters }) => matters,
  );
  const compared = [
    ...new Set(report.comparisons.map((one) => one.platform ?? one.columns.map(({ name }) => name).join(' and '))),
  ];
  const what = compared.length === 0 ? '' : ` (${compared.join(', ')})`;
  if (matter.length === 0) return `${image}: alike${what}.`;
  const counts = [...Map.groupBy(matter, ({ area }) => area)].map(([area, { length }]) => `${area} ${length}`);
  return paint('red', `${image}: different${what}: ${counts.join(', ')}.`, color);
}

/** What an image says must not speak to the terminal. */
function visible(text: string): string {
  return text.replace(/\p{Cc}/gu, '·');
}
