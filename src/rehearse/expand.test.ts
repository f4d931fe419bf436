// Expected values from CircleCI's documentation: configuration-reference, reusing-config, workflows.
import { describe, expect, test } from 'vitest';
import type { Diagnostic } from '../failure.ts';
import { type ExpandedPipeline, expandPipeline } from './expand.ts';
import { parsePipeline } from './parse.ts';
import type { RehearsalJob, Trigger } from './pipeline.ts';

const trigger: Trigger = {
  ref: { kind: 'branch', name: 'main' },
  revision: 'a'.repeat(40),
  number: 7,
  id: 'd2c1',
  gitUrl: 'https://github.com/acme/images',
};

function expand(text: string, given: Trigger = trigger): ExpandedPipeline | Diagnostic[] {
  const parsed = parsePipeline(text, 'config.yml');
  const result = parsed.ok ? expandPipeline(parsed.value, given) : parsed;
  if (result.ok) return result.value;
  if (result.failure.kind !== 'diagnostics') throw new Error(result.failure.kind);
  return result.failure.diagnostics;
}

function jobsOf(text: string, given: Trigger = trigger): RehearsalJob[] {
  const expanded = expand(text, given);
  if (Array.isArray(expanded)) throw new Error(JSON.stringify(expanded, undefined, 1));
  return expanded.workflows[0]?.jobs.map(({ job }) => job) ?? [];
}

/** `3:7 there is no job 'x'` */
function problemsOf(text: string): string[] {
  const expanded = expand(text);
  if (!Array.isArray(expanded)) return [];
  return expanded.map(({ message, location }) => `${location?.line}:${location?.column} ${message}`);
}

const commandsOf = (job: RehearsalJob | undefined): string[] =>
  job?.steps.map((step) => (step.kind === 'run' ? step.command : step.kind)) ?? [];

describe('what the documentation shows', () => {
  test('a command takes its arguments, and its defaults where none is given', () => {
    const [job] = jobsOf(`
version: 2.1
commands:
  sayhello:
    description: "A very simple command for demonstration purposes"
    parameters:
      to:
        type: string
        default: "Hello World"
    steps:
      - run: echo << parameters.to >>
jobs:
  build:
    docker: [ image: cimg/base:2024.06 ]
    steps:
      - sayhello
      - sayhello:
          to: "you"
workflows:
  w: { jobs: [build] }
`);
    expect(commandsOf(job)).toEqual(['echo Hello World', 'echo you']);
    expect(job).toMatchObject({ image: 'cimg/base:2024.06', machine: false, workingDirectory: '~/project' });
  });

  test('when and unless choose by whether a text is empty; a job called twice gets numbers', () => {
    const jobs = jobsOf(`
version: 2.1
jobs:
  job_with_optional_custom_checkout:
    parameters:
      custom_checkout:
        type: string
        default: ""
    machine:
      image: ubuntu-2004:2024.11.1
    steps:
      - when:
          condition: <<parameters.custom_checkout>>
          steps:
            - run: echo "my custom checkout"
      - unless:
          condition: <<parameters.custom_checkout>>
          steps:
            - checkout
workflows:
  build-test-deploy:
    jobs:
      - job_with_optional_custom_checkout:
          custom_checkout: "any non-empty string is truthy"
      - job_with_optional_custom_checkout
`);
    expect(jobs.map(({ name }) => name)).toEqual([
      'job_with_optional_custom_checkout-1',
      'job_with_optional_custom_checkout-2',
    ]);
    expect(jobs.map(commandsOf)).toEqual([['echo "my custom checkout"'], ['checkout']]);
    expect(jobs[0]?.machine).toBe(true);
  });

  test('an executor’s environment is the job’s, which wins; parameters reach executors', () => {
    const [job] = jobsOf(`
version: 2.1
executors:
  my-executor:
    parameters:
      tag: { type: string, default: latest }
      size: { type: enum, enum: [medium, arm.medium], default: medium }
    docker:
      - image: docker:<< parameters.tag >>
    resource_class: << parameters.size >>
    environment: { FOO: one, BAR: two }
jobs:
  build:
    parameters:
      size: { type: enum, enum: [medium, arm.medium] }
    executor: { name: my-executor, tag: 24.0.9-git, size: << parameters.size >> }
    environment: { FOO: three, N: 1 }
    steps: [ run: { command: make, name: Make it, background: false, environment: { V: << pipeline.number >> } } ]
workflows:
  w: { jobs: [ build: { size: arm.medium } ] }
`);
    expect(job).toMatchObject({
      image: 'docker:24.0.9-git',
      resourceClass: 'arm.medium',
      environment: { FOO: 'three', BAR: 'two', N: '1' },
      steps: [{ kind: 'run', name: 'Make it', command: 'make', environment: { V: '7' } }],
    });
  });

  test('pipeline values: a branch has no tag, a tag no branch', () => {
    const text = `
version: 2.1
jobs:
  build:
    docker: [ image: x ]
    steps:
      - run: echo "<< pipeline.git.tag >>|<<pipeline.git.branch>>|<< pipeline.git.revision >>|<< pipeline.id >>|<< pipeline.project.git_url >>"
workflows:
  w: { jobs: [build] }
`;
    const rest = `${'a'.repeat(40)}|d2c1|https://github.com/acme/images`;
    expect(commandsOf(jobsOf(text)[0])).toEqual([`echo "|main|${rest}"`]);
    const tagged = jobsOf(text, { ...trigger, ref: { kind: 'tag', name: 'v1.2' } });
    expect(commandsOf(tagged[0])).toEqual([`echo "v1.2||${rest}"`]);
  });

  test('requires: names, ends of jobs, approval; the order is theirs', () => {
    const jobs = jobsOf(`
version: 2.1
jobs:
  build: &job { docker: [ image: x ], steps: [checkout] }
  test: *job
  cleanup: *job
workflows:
  my-workflow:
    jobs:
      - deploy-it: { type: approval, requires: [test] }
      - test: { requires: [build], context: org-global }
      - build: { context: [a, b] }
      - cleanup:
          requires:
            - test:
              - failed
              - canceled
`);
    expect(jobs.map(({ name }) => name)).toEqual(['build', 'test', 'deploy-it', 'cleanup']);
    expect(jobs.map(({ contexts }) => contexts)).toEqual([['a', 'b'], ['org-global'], [], []]);
    expect(jobs[2]).toMatchObject({ approval: true, steps: [], requires: [{ job: 'test' }] });
    expect(jobs[3]?.requires).toEqual([{ job: 'test', ends: new Set(['failed', 'canceled']) }]);
  });

  test('steps that lie with CircleCI are kept as steps to tell of; store_artifacts runs after a failure too', () => {
    const [job] = jobsOf(`
version: 2.1
jobs:
  build:
    docker: [ image: x ]
    steps:
      - setup_remote_docker: { version: default, docker_layer_caching: true }
      - restore_cache: { keys: [v1] }
      - attach_workspace: { at: . }
      - persist_to_workspace: { root: /tmp/workspace, paths: [ target/application.jar, build/* ] }
      - store_artifacts: { path: out }
      - run: |
          cat \\<<EOF > file
          EOF
workflows:
  w: { jobs: [build] }
`);
    expect(job?.steps).toMatchObject([
      { kind: 'remote-docker' },
      { kind: 'told', name: 'restore_cache', when: 'on_success' },
      { kind: 'attach', at: '.' },
      { kind: 'persist', root: '/tmp/workspace', paths: ['target/application.jar', 'build/*'] },
      { kind: 'told', name: 'store_artifacts out', when: 'always' },
      { kind: 'run', command: 'cat <<EOF > file\nEOF\n' },
    ]);
  });

  test('a workflow with a schedule is not started by a push; one whose condition does not hold neither', () => {
    const expanded = expand(`
version: 2.1
parameters:
  nightly: { type: boolean, default: false }
jobs:
  build: { docker: [ image: x ], steps: [checkout] }
workflows:
  version: 2
  commit: { jobs: [build] }
  nightly:
    triggers: [ schedule: { cron: "0 0 * * *", filters: { branches: { only: [main, /beta.*/] } } } ]
    jobs: [build]
  asked: { when: << pipeline.parameters.nightly >>, jobs: [build] }
  main: { when: { and: [ equal: [ main, << pipeline.git.branch >> ], not: { matches: { pattern: "^v.*", value: << pipeline.git.branch >> } } ] }, jobs: [build] }
`);
    if (Array.isArray(expanded)) throw new Error(JSON.stringify(expanded));
    expect(expanded.workflows.filter(({ pushed }) => pushed).map(({ name }) => name)).toEqual(['commit', 'main']);
  });
});

describe('problems are told at their places', () => {
  const file = (steps: string, rest = '', jobs = '[build]'): string =>
    `version: 2.1\n${rest}jobs:\n  build:\n    docker: [ image: x ]\n    steps: ${steps}\nworkflows:\n  w:\n    jobs: ${jobs}\n`;

  const command =
    'commands: { c: { parameters: { n: { type: integer } }, steps: [ run: echo << parameters.n >> ] } }\n';

  test.each([
    [
      'a requirement that names no job',
      file('[checkout]', '', '[ build: { requires: [biuld] } ]'),
      "8:33 no job of this workflow is named 'biuld'",
    ],
    [
      'a cycle',
      file('[checkout]', '', '[ build: { name: a, requires: [b] }, build: { name: b, requires: [a] } ]'),
      '8:77 jobs that require each other never start: a → b → a',
    ],
    ['an unknown job', file('[checkout]', '', '[ bild ]'), "8:13 there is no job 'bild'"],
    ['an unknown step', file('[ chekout ]'), "5:14 there is no step or command 'chekout'"],
    ['a step of an orb', file('[ node/install: {} ]'), "5:14 'node/install' is of an orb, which is not fetched"],
    ['a missing argument', file('[ c ]', command), "6:14 command 'c' needs 'n', which has no default"],
    [
      'an argument of the wrong type',
      file('[ c: { n: x } ]', command),
      "6:19 'n' of command 'c' must be of type integer",
    ],
    ['an unknown argument', file('[ c: { n: 1, m: 2 } ]', command), "6:25 command 'c' has no parameter 'm'"],
    [
      'a parameter of the job that is not declared',
      file('[ run: echo << parameters.x >> ]'),
      "5:24 nothing is named 'parameters.x' here",
    ],
    [
      'an argument for a job that has none',
      file('[checkout]', '', '[ build: { x: 1 } ]'),
      "8:22 job 'build' has no parameter 'x'",
    ],
    [
      'a heredoc that CircleCI would take for a parameter',
      file('[ run: "cat <<EOF" ]'),
      "5:24 CircleCI takes '<<' for the beginning of a parameter, which has no '>>'",
    ],
    [
      'an unknown executor',
      'version: 2.1\njobs: { build: { executor: e, steps: [] } }\nworkflows: { w: { jobs: [build] } }\n',
      "2:28 there is no executor 'e'",
    ],
    [
      'no executor',
      'version: 2.1\njobs: { build: { steps: [] } }\nworkflows: { w: { jobs: [build] } }\n',
      "2:9 job 'build' has no docker, machine or executor",
    ],
    [
      'a command that calls itself',
      file('[ c ]', 'commands: { c: { steps: [c] } }\n'),
      "2:26 command 'c' calls itself: c → c",
    ],
    [
      'a matrix',
      file('[checkout]', '', '[ build: { matrix: { parameters: { x: [1] } } } ]'),
      '8:22 a matrix is not rehearsed',
    ],
    ['an unknown key', file('[checkout]', 'job: {}\n'), "2:1 'job' is not known in the file"],
    ['an old version', 'version: 2\njobs: {}\nworkflows: {}\n', "1:1 'version' must be 2.1"],
    ['a job without steps', 'version: 2.1\njobs: { a: { docker: [] } }\nworkflows: {}\n', "2:9 job 'a' has no 'steps'"],
    ['what a step may have', file('[ run: { comand: x } ]'), "5:14 'run' has no 'command'"],
    [
      'an unknown step in a command that nobody calls',
      file('[checkout]', 'commands: { c: { steps: [ nope ] } }\n'),
      "2:27 there is no step or command 'nope'",
    ],
  ])('%s', (_name, text, expected) => {
    expect(problemsOf(text)).toContain(expected);
  });
});
