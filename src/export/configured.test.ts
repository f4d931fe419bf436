// The files of a config's exports are called as those of the pipeline that is generated from it.
import { expect, test } from 'vitest';
import { parseConfig } from '../config/parse.ts';
import { readConfig } from '../config/read.ts';
import { parsePlatform } from '../image/platform.ts';
import { value } from '../registry/testing.ts';
import { configuredExports } from './configured.ts';

function exportsOf(text: string, chosen: { images?: string[]; platforms?: string[] } = {}) {
  const config = value(
    readConfig(value(parseConfig(text, 'splitbuild.yaml')), {
      file: 'splitbuild.yaml',
      env: {},
      set: {},
      git: {},
      now: new Date('2026-11-25T00:00:00Z'),
    }),
  );
  const platforms = (chosen.platforms ?? []).map((one) => value(parsePlatform(one)));
  return configuredExports(config, { images: chosen.images ?? [], platforms });
}

const whole = `
version: 1
family: hysds
platforms: [linux/amd64, linux/arm64]
tags: [develop, latest]
images:
  verdi: { repository: hysds/verdi, source: ./verdi }
  mozart: { repository: hysds/mozart, source: ./mozart, tags: [v6] }
exports:
  - { image: verdi, file: "hysds-verdi-\${tag}\${archSuffix}.tar.gz", plain: linux/amd64 }
  - { image: mozart, file: "mozart-\${archTag}.tar" }
`;

// As HySDS's own pipeline calls them: docker save of verdi:develop for amd64, of verdi:develop-arm64 for arm64.
test('each tag and platform has a file, and the plain platform no suffix', () => {
  expect(exportsOf(whole).map(({ file, name }) => [file, name])).toEqual([
    ['hysds-verdi-develop.tar.gz', 'hysds/verdi:develop'],
    ['hysds-verdi-develop-arm64.tar.gz', 'hysds/verdi:develop-arm64'],
    ['hysds-verdi-latest.tar.gz', 'hysds/verdi:latest'],
    ['hysds-verdi-latest-arm64.tar.gz', 'hysds/verdi:latest-arm64'],
    ['mozart-v6-amd64.tar', 'hysds/mozart:v6-amd64'],
    ['mozart-v6-arm64.tar', 'hysds/mozart:v6-arm64'],
  ]);
});

test('only the images and platforms that are named', () => {
  const files = exportsOf(whole, { images: ['verdi'], platforms: ['linux/arm64'] }).map(({ file }) => file);
  expect(files).toEqual(['hysds-verdi-develop-arm64.tar.gz', 'hysds-verdi-latest-arm64.tar.gz']);
});

test('the image is read by its tag in the config’s registry, with the prefix that it has there', () => {
  const [first] = exportsOf(`${whole}registry: registry.example.com/team\n`);
  expect(first).toMatchObject({ repository: 'team/hysds/verdi', tag: 'develop', name: 'hysds/verdi:develop' });
});
