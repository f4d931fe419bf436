import { expect, test } from 'vitest';
import { parseEndpoint } from './endpoint.ts';

test.each([
  ['local', { kind: 'local' }],
  ['unix:///run/user/1000/docker.sock', { kind: 'unix', path: '/run/user/1000/docker.sock' }],
  ['ssh://ci@arm-1', { kind: 'ssh', user: 'ci', host: 'arm-1', socket: '/var/run/docker.sock' }],
  ['ssh://arm-1:2222/run/docker.sock', { kind: 'ssh', host: 'arm-1', port: 2222, socket: '/run/docker.sock' }],
  ['ssh://[fd00::1]', { kind: 'ssh', host: 'fd00::1', socket: '/var/run/docker.sock' }],
  ['tcp://10.0.0.5:2376', { kind: 'tcp', address: '10.0.0.5:2376' }],
  ['context://graviton', { kind: 'context', name: 'graviton' }],
])('%s is an endpoint', (text, value) => {
  expect(parseEndpoint(text)).toEqual({ ok: true, value });
});

test.each([
  '',
  'arm-1',
  'ssh://',
  'ssh://-oProxyCommand=x',
  'ssh://-l@host',
  'tcp://host',
  'http://h:1',
  'unix://relative',
])('%j is refused, and never becomes an option of ssh', (text) => {
  expect(parseEndpoint(text)).toMatchObject({ ok: false, failure: { kind: 'usage' } });
});

test.each([
  ['ssh://ci@arm-1', { kind: 'ssh', user: 'ci', host: 'arm-1', socket: '/run/buildkit/buildkitd.sock' }],
  ['kube-pod://kit-0?namespace=ci', { kind: 'within', address: 'kube-pod://kit-0?namespace=ci' }],
  ['docker-container://kit', { kind: 'within', address: 'docker-container://kit' }],
  ['tcp://10.0.0.5:1234', { kind: 'tcp', address: '10.0.0.5:1234' }],
])('%s is an endpoint of a BuildKit', (text, value) => {
  expect(parseEndpoint(text, 'buildkit')).toEqual({ ok: true, value });
});

test('a pod is no Docker Engine, a docker context no BuildKit, and a name no option', () => {
  expect(parseEndpoint('kube-pod://kit-0')).toMatchObject({ ok: false });
  expect(parseEndpoint('context://graviton', 'buildkit')).toMatchObject({ ok: false });
  expect(parseEndpoint('docker-container://--help', 'buildkit')).toMatchObject({ ok: false });
});
