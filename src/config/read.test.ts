// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the config's own ${variables}.
// The config reader, on the example of the design and on broken files.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from './read.ts';
import { jsonSchema } from './schema.ts';

const options = { file: 'splitbuild.yaml', env: {}, set: {} };

test('an unknown key is an error at the key itself', () => {
  const result = readConfig('version: 1\nfamily: f\nplatforms: [linux/amd64]\nplatform: x\nimages: {}\n', options);
  expect(result).toMatchObject({
    ok: false,
    failure: { diagnostics: [{ code: 'unknown-key', location: { line: 4, column: 1, endColumn: 9 } }] },
  });
});

test('variables are expanded and those of an image are left for later', () => {
  const text =
    'version: 1\nfamily: f\nplatforms: [amd64]\nvars: {org: o}\nimages: {a: {repository: "${org}/a", args: {T: "${tag}"}}}\n';
  expect(readConfig(text, options)).toMatchObject({
    ok: true,
    value: {
      images: [{ repository: 'o/a', args: { T: '${tag}' }, platforms: [{ os: 'linux', architecture: 'amd64' }] }],
    },
  });
});

test('the published JSON Schema is the one of the code', () => {
  const file = new URL('../../schema/splitbuild.schema.json', import.meta.url);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(JSON.stringify(jsonSchema())));
});
