// docs/benchmarks.md, written of results, with a plot of each measurement.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median } from './measurement.ts';
import { drawBars } from './plot.ts';
import type { Result } from './results.ts';

const intro = `# Benchmarks

Written by \`npm run bench\` (\`-- --only NAME\`, \`--rounds N\`, \`--list\`), which installs the peers as a person would: Debian's packages with apt,
the others with \`go install\` at the versions of [bench/peers.json](../bench/peers.json). Each measurement has its peers take turns with
splitbuild in one run, each going first in its turn, so that what the machine does meanwhile it does to all of them: **the ratios are what to
look at**. Figures are medians. A peer that could not be had is named as such. A load above the number of cores says that others were at work
on the machine as it was measured.
`;

export function writeDocument(folder: string, results: ReadonlyMap<string, Result>): void {
  mkdirSync(join(folder, 'plots'), { recursive: true });
  const machines = new Set([...results.values()].map(({ machine }) => machine));
  const sections = [...results].map(([key, result]) => {
    writeFileSync(join(folder, 'plots', `${key}.svg`), plotOf(result));
    return sectionOf(key, result, machines.size > 1);
  });
  const summary = [
    '| measurement | target | now |',
    '| --- | --- | --- |',
    ...[...results].map(([key, one]) => `| [${one.name}](#${key}) | ${one.target} | ${summaryOf(one)} |`),
  ];
  const on = machines.size === 1 ? [`On ${[...machines].join()}.`, ''] : [];
  writeFileSync(join(folder, 'benchmarks.md'), [intro, ...on, ...summary, '', ...sections].join('\n'));
}

function summaryOf({ ours, unit, reached }: Result): string {
  return `${format(median(ours), unit)}${reached === undefined ? '' : reached ? ', reached' : ', **not reached**'}`;
}

function sectionOf(key: string, result: Result, namesMachine: boolean): string {
  const { name, own, ours, peers, unit, target, note, machine, load, date } = result;
  const base = median(ours);
  const rows = peers.map(({ name: peer, version, times, absent }) =>
    times
      ? `| ${peer} | ${version} | ${format(median(times), unit)} | ${spread(times, unit)} | ${(median(times) / base).toFixed(2)} |`
      : `| ${peer} | ${version} | not measured: ${absent ?? 'it is not here'} | | |`,
  );
  return [
    `## <a id="${key}"></a>${name}`,
    '',
    `Target: ${target}. ${result.reached === undefined ? '' : result.reached ? 'Reached.' : 'Not reached.'} ${ours.length} rounds, ${date}, load ${load}.`,
    ...(namesMachine ? [`On ${machine}.`] : []),
    ...(note === undefined ? [] : ['', note]),
    '',
    `![${name}](plots/${key}.svg)`,
    '',
    '| | version | median | from, to | ÷ ours |',
    '| --- | --- | ---: | ---: | ---: |',
    `| **${own}** | | **${format(base, unit)}** | ${spread(ours, unit)} | 1 |`,
    ...rows,
    '',
  ].join('\n');
}

function plotOf({ name, own, ours, peers, unit }: Result): string {
  const bar = (label: string, times: readonly number[], is: boolean) => ({
    ...{ label, ours: is, value: median(times), text: format(median(times), unit) },
  });
  return drawBars(name, [
    bar(own, ours, true),
    ...peers.flatMap((peer) => (peer.times ? [bar(peer.name, peer.times, false)] : [])),
  ]);
}

function spread(times: readonly number[], unit: Result['unit']): string {
  return `${format(Math.min(...times), unit)} – ${format(Math.max(...times), unit)}`;
}

function format(value: number, unit: Result['unit']): string {
  if (unit !== 'ms') return `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
  return value < 1000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(2)} s`;
}
