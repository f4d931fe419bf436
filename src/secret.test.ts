// Values in the forms that programs write them in; the programs themselves are asked where they are at hand everywhere.
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMask, findsSecrets, maskTexts, urlCredentials } from './secret.ts';
import { cpuMs } from './testing.ts';

const value = `it's "20% of" $HOME & <b>/é+?`;

test.each([
  ['JSON', JSON.stringify({ value })],
  ['JSON in JSON', JSON.stringify({ line: JSON.stringify({ value }) })],
  // encoding/json of Go, and what jq -Rs @uri, Python's quote and quote_plus, and curl --data-urlencode print.
  ['JSON of Go', `{"v":"it's \\"20% of\\" $HOME \\u0026 \\u003cb\\u003e/é+?"}`],
  ['jq', 'it%27s%20%2220%25%20of%22%20%24HOME%20%26%20%3Cb%3E%2F%C3%A9%2B%3F'],
  ['quote_plus', 'it%27s+%2220%25+of%22+%24HOME+%26+%3Cb%3E%2F%C3%A9%2B%3F'],
  ['lower-case digits', 'it%27s%20%2220%25%20of%22%20%24HOME%20%26%20%3cb%3e%2f%c3%a9%2b%3f'],
  ['a shell’s single quotes', `'it'\\''s "20% of" $HOME & <b>/é+?'`],
  ['a shell’s double quotes', `"it's \\"20% of\\" \\$HOME & <b>/é+?"`],
])('the value in %s is masked', (_, text) => {
  expect(createMask([value])(`got ${text} there`)).toContain('***');
  expect(createMask([value])(`got ${text} there`)).not.toMatch(/HOME|20/);
  expect(findsSecrets([value])(text)).toBe(true);
});

test.each([
  ['printf %s "$V" | base64', 'hunter22-and-more'],
  ['echo "$V" | base64', 'hunter22-and-more'],
  ['printf %s "ci:$V" | base64', 'hunter22-and-more'],
  ['printf %s "bot:$V" | base64', 'hunter22-and-more'],
  ['printf %s "token:$V" | base64', 'hunter22-and-more'],
  ['echo "$V" | base64', `${'0123456789abcdef'.repeat(20)}`],
  ['set -x; : "$V" x', `it's a value`],
  ['printf %q "$V"', `it's $a value`],
])('what %j prints of %j is masked', (command, V) => {
  const said = execFileSync('bash', ['-c', `exec 2>&1; ${command}`], { env: { ...process.env, V }, encoding: 'utf8' });
  const masked = said.split('\n').map(createMask([V]));
  // Of base64 behind something else, the characters at its ends are half of the value's and half of the other's.
  expect(masked.join('\n').replaceAll('***', '').length).toBeLessThan(20);
  expect(masked.join('\n')).toContain('***');
});

test('a value of several lines is masked line by line, and a line end is no part of a value', () => {
  const mask = createMask(['-----BEGIN KEY-----\r\nabcdefgh\nijklmnop\n']);
  expect(['#7 0.1 abcdefgh', 'ijklmnop', 'abc'].map(mask)).toEqual(['#7 0.1 ***', '***', 'abc']);
});

test('of two values of which one holds the other, the longer one is masked whole', () => {
  expect(createMask(['hunter', 'hunter22'])('hunter22 hunter')).toBe('*** ***');
});

test('values of less than four characters, true and false are left', () => {
  expect(createMask(['abc', 'true', 'false', ''])('abc true false')).toBe('abc true false');
});

test.each([
  ['https://ci:hunter22@h/x', ['hunter22'], 'https://ci:***@h/x'],
  ['https://ghp_123@h', ['ghp_123'], 'https://***@h'],
  ['ssh://git@h/y', [], 'ssh://git@h/y'],
  ['ssh://git:hunter22@h/y', ['hunter22'], 'ssh://git:***@h/y'],
  ['HTTPS://u:p@ss@h/a@b', ['p@ss'], 'HTTPS://u:***@h/a@b'],
  ['https://h/a@b:c', [], 'https://h/a@b:c'],
  ['git@h:y', [], 'git@h:y'],
  ['https://u:p%40ss@h', ['p%40ss', 'p@ss'], 'https://u:***@h'],
  ['https://u:%zz@h', ['%zz'], 'https://u:***@h'],
])('credentials of %j', (text, credentials, masked) => {
  expect(urlCredentials(text)).toEqual(credentials);
  expect(createMask([])(text)).toBe(masked);
});

test('a text is only found to hold a short value where it is all there is, and no certificate’s first line is a secret', () => {
  const finds = findsSecrets(['test', '-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n{ "a": 1 }']);
  expect(['test', 'NAME=test', 'MIIBszCCAVmgAwIBAgIU'].map(finds)).toEqual([true, true, true]);
  expect(['latest', '-----BEGIN CERTIFICATE-----', '{ "a": 1 }', ''].map(finds)).toEqual([false, false, false, false]);
});

test('no value of four characters or more survives, in any text, also not as base64', () => {
  const values = fc.string({ unit: 'binary', minLength: 4, maxLength: 60 }).filter((text) => {
    const trimmed = text.trim();
    return trimmed.length >= 4 && !'*** true false'.includes(trimmed);
  });
  fc.assert(
    fc.property(values, fc.string(), fc.string(), (secret, before, after) => {
      const mask = createMask([secret]);
      const trimmed = secret.trim();
      for (const form of [trimmed, JSON.stringify(trimmed), Buffer.from(trimmed).toString('base64')]) {
        const masked = mask(`${before} ${form} ${after}`);
        expect(masked).toContain('***');
        if (!`${before}${after}`.includes(trimmed)) expect(masked.includes(trimmed)).toBe(false);
      }
    }),
    { numRuns: 300 },
  );
});

test('long texts take a time that grows with them', () => {
  const started = cpuMs();
  for (const text of [
    '://'.repeat(300_000),
    `://${'a'.repeat(1_000_000)}`,
    '://a:'.repeat(200_000),
    'a'.repeat(1_000_000),
  ])
    createMask(['hunter22'])(text);
  expect(cpuMs() - started).toBeLessThan(2000);
});

test('data is masked at any depth and left as it was; what holds nothing to mask is the same data', () => {
  const data = { kept: 'hunter22', plain: [{ text: 'a' }], deep: [[{ text: 'a hunter22' }, 1, null]] };
  const masked = maskTexts(data, createMask(['hunter22']), new Set(['kept']));
  expect(masked).toEqual({ kept: 'hunter22', plain: [{ text: 'a' }], deep: [[{ text: 'a ***' }, 1, null]] });
  expect(masked.plain).toBe(data.plain);
  expect(data.deep).toEqual([[{ text: 'a hunter22' }, 1, null]]);
});
