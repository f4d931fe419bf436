// The report of a comparison, for people and for machines.
import { expect, test } from 'vitest';
import type { ParityReport } from '../image/parity/parity.ts';
import { parityJson, renderParity } from './parity.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const report: ParityReport = {
  alike: false,
  platforms: [],
  comparisons: [
    {
      kind: 'platforms',
      columns: [
        { name: 'linux/amd64', digest, size: 31_200_000, packages: 2, databases: ['dpkg'] },
        { name: 'linux/arm64', digest, size: 29_000_000, packages: 1, databases: ['dpkg'] },
      ],
      differences: [
        { area: 'package', name: 'jq', matters: true, values: ['1.6-2.1', undefined] },
        { area: 'environment', name: 'MODE', matters: true, values: ['\u001b[31mfast', ''] },
        { area: 'package', name: 'bash', matters: false, values: ['5-2+b7', '5-2+b2'], reason: 'built again' },
      ],
      files: {
        counts: [
          { column: 'linux/amd64', compared: 30, ignored: 4 },
          { column: 'linux/arm64', compared: 1, ignored: 4 },
        ],
        otherSize: 1,
        notEverywhere: [
          {
            columns: ['linux/amd64'],
            ofPackages: false,
            count: 29,
            first: [
              { path: '/opt/a', within: 2 },
              { path: '/opt/b\n', within: 0 },
            ],
          },
        ],
      },
    },
  ],
};

test('what matters, what is only told, counts, and a last line; an image can’t speak to the terminal', () => {
  expect(renderParity('team/app:x', report, false).split('\n')).toEqual([
    '                   linux/amd64  linux/arm64',
    'package      jq    1.6-2.1      —',
    'environment  MODE  ·[31mfast    (empty)',
    '',
    'Only told:',
    '               linux/amd64  linux/arm64',
    'package  bash  5-2+b7       5-2+b2       built again',
    '',
    'linux/amd64  2 packages of dpkg  30 files  4 not compared  31.2 MB',
    'linux/arm64  1 package of dpkg   1 file    4 not compared  29.0 MB',
    'Of another size: 1 file',
    'Only in linux/amd64: 29 files',
    '  /opt/a and 2 in it',
    '  /opt/b·',
    '  … and 25 more',
    '',
    'team/app:x: different (linux/amd64 and linux/arm64): package 1, environment 1.',
    '',
  ]);
});

test('twenty rows of an area are printed, the others counted', () => {
  const [comparison] = report.comparisons;
  const differences = Array.from({ length: 25 }, (_, index) => ({
    area: 'file' as const,
    name: `/f${index}`,
    matters: true,
    values: ['mode 0644', 'mode 0600'],
  }));
  const text = renderParity('x', { ...report, comparisons: comparison ? [{ ...comparison, differences }] : [] }, false);
  expect(text.match(/^file +\/f/gm)).toHaveLength(20);
  expect(text).toContain('… and 5 more (--json)');
  expect(text).toContain('file 25.');
});

test('JSON has every value under its column, and null where a column has none', () => {
  expect(JSON.parse(parityJson('team/app:x', undefined, report))).toMatchObject({
    image: 'team/app:x',
    alike: false,
    comparisons: [
      {
        differences: [
          { area: 'package', name: 'jq', matters: true, values: { 'linux/amd64': '1.6-2.1', 'linux/arm64': null } },
          { values: { 'linux/amd64': '\u001b[31mfast', 'linux/arm64': '' } },
          { matters: false, reason: 'built again' },
        ],
      },
    ],
  });
});
