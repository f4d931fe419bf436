// The published JSON Schema: not stale, accepts what the reader accepts, and explains every key.
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { configReference } from '../../scripts/config-reference.ts';
import { jsonSchema } from './schema.ts';

const schema = JSON.parse(JSON.stringify(jsonSchema()));
const example = readFileSync(new URL('./testdata/hysds.yaml', import.meta.url), 'utf8');
const check = new Ajv2020({ strict: false }).compile(schema);

test('the published JSON Schema is the one of the code', () => {
  const file = new URL('../../schema/splitbuild.schema.json', import.meta.url);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(schema);
});

test('it is draft 2020-12', () => {
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema');
});

test('it accepts the example of HySDS', () => {
  check(parse(example));
  expect(check.errors).toBeNull();
});

test.each([
  ['an unknown key', { platform: 'x' }],
  ['an endpoint of no known form', { builders: [{ name: 'x', endpoint: 'arm-1' }] }],
  ['a mode that is none', { mode: 'qemu' }],
])('it refuses %s', (_what, wrong) => {
  expect(check({ ...parse(example), ...wrong })).toBe(false);
});

test('an endpoint may be a variable', () => {
  expect(check({ ...parse(example), builders: [{ name: 'x', endpoint: '${arm}' }] })).toBe(true);
});

/** Every property of the schema, by path, with what it says of itself. */
function properties(node: unknown, path = ''): [string, unknown][] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([key, value]): [string, unknown][] => {
    if (key === 'examples' || key === 'default') return [];
    if (key !== 'properties') return properties(value, path);
    return Object.entries(value).flatMap(([name, property]): [string, unknown][] => [
      [`${path}/${name}`, property],
      ...properties(property, `${path}/${name}`),
    ]);
  });
}

test('every key has a description', () => {
  const all = properties(schema);
  expect(all.length).toBeGreaterThan(60);
  const silent = all.filter(
    ([, property]) => !(property instanceof Object && 'description' in property && property.description),
  );
  expect(silent.map(([path]) => path)).toEqual([]);
});

test('the examples of the schema are right by the schema', () => {
  const ajv = new Ajv2020({ strict: false });
  const wrong = properties(schema).flatMap(([path, property]) => {
    if (!(property instanceof Object && 'examples' in property && Array.isArray(property.examples))) return [];
    const one = ajv.compile(property);
    return property.examples.filter((value) => !one(value)).map((value) => [path, value]);
  });
  expect(wrong).toEqual([]);
});

test('docs/config.md is what the schema says; npm run schema writes it anew', () => {
  const file = new URL('../../docs/config.md', import.meta.url);
  expect(readFileSync(file, 'utf8')).toBe(configReference());
});
