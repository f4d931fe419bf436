// Ends of real outputs: of docker 20.10 and 28, buildx 0.19, buildah 1.28, buildctl 0.18.
import { expect, test } from 'vitest';
import { buildFailure, buildkitTrust, pushFailure } from './outcome.ts';

test('a failing RUN is the build’s own failure, with its exit code and the end of its log', () => {
  const lines = [
    '#7 0.212 make: *** [all] Error 1',
    '#7 ERROR: executor failed running [/bin/sh -c make]: exit code: 2',
    'executor failed running [/bin/sh -c make]: exit code: 2',
  ];
  expect(buildFailure(1, lines, 'local')).toMatchObject({
    kind: 'build',
    exitCode: 2,
    log: lines,
    message: 'the build failed: executor failed running [/bin/sh -c make]: exit code: 2',
  });
});

test.each([
  'ERROR: Cannot connect to the Docker daemon at unix:///run/docker.sock. Is the docker daemon running?',
  'error during connect: Post "http://docker/v1.41/build": EOF',
  'failed to solve: rpc error: code = Unavailable desc = error reading from server: EOF',
  'error: failed to solve: Unavailable: error reading from server: EOF',
])('%s: the engine was lost, and it may be tried again', (line) => {
  expect(buildFailure(1, ['#5 RUN make', line], 'ssh://arm')).toMatchObject({ kind: 'engine', transient: true });
});

test('a base that the registry could not give just now may be tried again', () => {
  const line =
    'failed to solve: failed to do request: Head "https://r.example/v2/base/manifests/1": dial tcp 10.0.0.1:443: connect: connection refused';
  expect(buildFailure(1, [line], 'local')).toMatchObject({ kind: 'registry', transient: true });
});

test('a registry that speaks plain HTTP is not asked again, but told how to be trusted', () => {
  const line =
    'failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: Head "https://10.77.1.11:5000/v2/a/manifests/sha256:17f9": http: server gave HTTP response to HTTPS client';
  expect(buildFailure(1, [line], 'local')).toMatchObject({
    kind: 'registry',
    transient: false,
    help: expect.stringContaining('http://HOST:PORT'),
  });
});

test.each([
  ['denied: requested access to the resource is denied', false, 'docker login r.example'],
  ['Get "https://r.example/v2/": http: server gave HTTP response to HTTPS client', false, 'insecure-registries'],
  ['received unexpected HTTP status: 503 Service Unavailable', true, 'reach the registry'],
  ['dial tcp 10.0.0.1:443: connect: connection refused', true, 'reach the registry'],
])('push ended with %s', (line, transient, help) => {
  expect(pushFailure('r.example/app:1', [line], 'local')).toMatchObject({
    kind: 'registry',
    transient,
    help: expect.stringContaining(help),
  });
});

test('an engine that died ends its client without a word of its own; the same words inside of a build are the build’s', () => {
  expect(buildFailure(1, ['#5 RUN make', 'unexpected EOF'], 'ssh://arm')).toMatchObject({
    kind: 'engine',
    transient: true,
  });
  const own = ['#5 0.3 gzip: stdin: unexpected EOF', 'executor failed running [/bin/sh -c tar x]: exit code: 2'];
  expect(buildFailure(1, own, 'local')).toMatchObject({ kind: 'build', exitCode: 2 });
});

test('errors of a registry that a push is told are said, and those of two pushes in each other’s way are passing', () => {
  const lines = [
    'errors:',
    'digest invalid: provided digest did not match uploaded content',
    'manifest blob unknown: blob unknown to registry',
  ];
  expect(pushFailure('r.example/app:1', lines, 'local')).toMatchObject({
    transient: true,
    message: expect.stringContaining(
      'digest invalid: provided digest did not match uploaded content; manifest blob unknown',
    ),
  });
});

test('of BuildKit by itself: the step’s own code, and where its buildkitd is told to trust a registry', () => {
  const step = 'error: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 3';
  expect(buildFailure(1, ['#5 0.112 hi', step], 'kit', buildkitTrust)).toMatchObject({
    kind: 'build',
    exitCode: 3,
    message: 'the build failed: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 3',
  });
  const plain =
    'error: failed to solve: failed to push 10.0.0.1:5000/a:1: failed to do request: Head "https://10.0.0.1:5000/v2/a/blobs/sha256:34": http: server gave HTTP response to HTTPS client';
  expect(pushFailure('10.0.0.1:5000/a:1', [plain], 'kit', buildkitTrust)).toMatchObject({
    transient: false,
    help: expect.stringContaining('buildkitd.toml'),
  });
});
