// Templates: the later expansion and its escape.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeTemplate, expandTemplate } from './template.ts';

const values = {
  tag: 'develop',
  arch: 'arm64',
  archSuffix: '-arm64',
  archTag: 'develop-arm64',
  platform: 'linux/arm64',
};

test.each([
  ['${tag} ${arch} ${platform}', 'develop arm64 linux/arm64'],
  ['x${archSuffix}.tar.gz', 'x-arm64.tar.gz'],
  ['$${tag}', '${tag}'],
  ['$$${tag}', '$develop'],
  ['$$$${tag}', '$${tag}'],
  ['$HOME $(id)', '$HOME $(id)'],
  ['${other}', '${other}'],
  ['${toString} ${__proto__}', '${toString} ${__proto__}'],
  ['', ''],
])('%s becomes %s', (template, text) => {
  expect(expandTemplate(template, values)).toBe(text);
});

test('what a value holds is not expanded again', () => {
  expect(expandTemplate('${tag}', { ...values, tag: '${arch}$$' })).toBe('${arch}$$');
});

test('an escaped text is that text again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[${}tag]*$/)), (text) => {
      expect(expandTemplate(escapeTemplate(text), values)).toBe(text);
    }),
  );
});
