import { expect, test } from 'vitest';
import { parseChallenges } from './challenge.ts';

test.each([
  {
    name: 'Docker Hub’s',
    header: 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
    challenges: [
      {
        scheme: 'bearer',
        parameters: {
          realm: 'https://auth.docker.io/token',
          service: 'registry.docker.io',
          scope: 'repository:a/b:pull,push',
        },
      },
    ],
  },
  {
    name: 'two in one line, with spaces, escapes and a bare word',
    header: 'Basic Realm = "a \\"b\\"" , BEARER realm=https, error=x',
    challenges: [
      { scheme: 'basic', parameters: { realm: 'a "b"' } },
      { scheme: 'bearer', parameters: { realm: 'https', error: 'x' } },
    ],
  },
  { name: 'a scheme alone', header: 'Negotiate', challenges: [{ scheme: 'negotiate', parameters: {} }] },
  {
    name: 'two lines',
    header: ['Negotiate', 'Basic realm="r"'],
    challenges: [
      { scheme: 'negotiate', parameters: {} },
      { scheme: 'basic', parameters: { realm: 'r' } },
    ],
  },
  { name: 'an open quote', header: 'Basic realm="r', challenges: [{ scheme: 'basic', parameters: { realm: 'r' } }] },
  { name: 'none', header: undefined, challenges: [] },
])('reads challenges: $name', ({ header, challenges }) => {
  expect(parseChallenges(header)).toEqual(challenges);
});
