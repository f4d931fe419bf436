// A small run that the reporters' tests share: two platforms of one image, and its publishing.
import type { Plan } from '../plan/plan.ts';
import type { Event } from '../run/event.ts';

const build = (architecture: string): Plan['tasks'][number] => ({
  kind: 'build',
  id: `build base linux/${architecture}`,
  image: 'base',
  platform: { os: 'linux', architecture },
  mode: 'native',
  repository: 'org/base',
  context: '/src',
  dockerfile: '/src/Dockerfile',
  args: {},
  secrets: [],
  upstreams: [],
  needs: [],
});

export const amd = 'build base linux/amd64';
export const arm = 'build base linux/arm64';
export const publish = 'publish base';
export const digest = 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';

export const plan: Plan = {
  version: 1,
  family: 'demo',
  publish: 'image',
  failedPlatform: 'hold',
  gates: [],
  tasks: [
    build('amd64'),
    build('arm64'),
    {
      kind: 'publish',
      id: publish,
      image: 'base',
      repository: 'org/base',
      builds: [
        { task: amd, platform: { os: 'linux', architecture: 'amd64' }, archTags: [] },
        { task: arm, platform: { os: 'linux', architecture: 'arm64' }, archTags: [] },
      ],
      tags: ['develop'],
      audit: { mode: 'stop', allow: [] },
      needs: [amd, arm],
    },
  ],
};

const builder = { endpoint: 'local', engine: 'docker 28', native: [], emulated: [], slots: 1 };

export const begun: Event[] = [
  {
    type: 'run-started',
    time: 0,
    run: 'r1',
    plan,
    builders: [
      { ...builder, name: 'here', native: ['linux/amd64'] },
      { ...builder, name: 'graviton', endpoint: 'ssh://ci@arm-1', emulated: ['linux/arm64'] },
    ],
    lastDurations: { [amd]: 10_000 },
  },
  { type: 'task-started', time: 0, task: amd, builder: 'here', attempt: 1 },
  { type: 'task-started', time: 0, task: arm, builder: 'graviton', emulated: true, attempt: 1 },
  { type: 'task-output', time: 1000, task: arm, line: '#5 RUN \u001b[31mmake\u001b[0m' },
];

export const succeeded: Event[] = [
  ...begun,
  { type: 'task-reused', time: 2000, task: amd },
  { type: 'task-finished', time: 5000, task: arm, durationMs: 5000 },
  { type: 'task-started', time: 5000, task: publish, attempt: 1 },
  { type: 'tag-moved', time: 5500, reference: 'docker.io/org/base:develop', digest },
  { type: 'task-finished', time: 6000, task: publish, durationMs: 1000, digest },
  {
    type: 'run-finished',
    time: 6240,
    run: 'r1',
    outcome: 'done',
    wallMs: 6240,
    criticalPathMs: 6000,
    criticalPath: [arm, publish],
  },
];

export const failed: Event[] = [
  ...begun,
  {
    type: 'task-failed',
    time: 5000,
    task: arm,
    durationMs: 5000,
    willRetry: false,
    failure: { kind: 'build', exitCode: 2, message: 'make: exit code 2', log: ['#5 RUN make'] },
  },
  { type: 'task-finished', time: 6000, task: amd, durationMs: 6000 },
  { type: 'task-skipped', time: 6000, task: publish, because: `${arm} failed` },
  {
    type: 'run-finished',
    time: 6000,
    run: 'r1',
    outcome: 'failed',
    wallMs: 6000,
    criticalPathMs: 0,
    criticalPath: [],
  },
];
