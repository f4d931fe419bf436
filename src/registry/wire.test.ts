// Which answers are simple enough: the others are left to the whole client.
import { expect, test } from 'vitest';
import { readAnswer } from './wire.ts';

const answer = (...lines: string[]) => Buffer.from(lines.join('\r\n'));

test('an answer is read once all of it is there', () => {
  const whole = answer('HTTP/1.1 200 OK', 'Content-Length: 2', 'Docker-Content-Digest:\tx ', '', '{}');
  for (let length = 0; length < whole.length; length += 1)
    expect(readAnswer(whole.subarray(0, length))).toBeUndefined();
  const read = readAnswer(whole);
  expect(read?.bytes.toString()).toBe('{}');
  expect(read?.headers.get('docker-content-digest')).toBe('x');
});

test('an answer may have no body', () => {
  expect(readAnswer(answer('HTTP/1.1 201 Created', 'Content-Length: 0', '', ''))?.bytes).toHaveLength(0);
});

test.each<[string, Buffer]>([
  ['another status', answer('HTTP/1.1 401 Unauthorized', 'Content-Length: 0', '', '')],
  ['an interim answer', answer('HTTP/1.1 100 Continue', '', '')],
  ['a redirect', answer('HTTP/1.1 307 Temporary Redirect', 'Location: /x', 'Content-Length: 0', '', '')],
  ['no length', answer('HTTP/1.1 200 OK', '', '{}')],
  ['a length that is none', answer('HTTP/1.1 200 OK', 'Content-Length: 2x', '', '{}')],
  ['chunks', answer('HTTP/1.1 200 OK', 'Transfer-Encoding: chunked', 'Content-Length: 2', '', '{}')],
  ['a compressed body', answer('HTTP/1.1 200 OK', 'Content-Encoding: gzip', 'Content-Length: 2', '', '{}')],
  ['two lengths', answer('HTTP/1.1 200 OK', 'Content-Length: 2', 'content-length: 3', '', '{}')],
  ['a folded header', answer('HTTP/1.1 200 OK', 'Content-Length: 2', ' 3', '', '{}')],
  ['more than was said', answer('HTTP/1.1 200 OK', 'Content-Length: 2', '', '{}HTTP/1.1 200 OK')],
  ['a body that is too large', answer('HTTP/1.1 200 OK', 'Content-Length: 900000000', '', '')],
  ['a head without an end', Buffer.alloc(20_000, 'x')],
  ['something else than HTTP/1.1', answer('SSH-2.0-OpenSSH_9.2', '', '')],
])('%s is not simple', (_what, received) => {
  expect(() => readAnswer(received)).toThrow();
});
