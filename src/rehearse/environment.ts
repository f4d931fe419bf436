// What a job's steps see of this machine and of the pipeline. https://circleci.com/docs/variables/#built-in-environment-variables
import { randomUUID } from 'node:crypto';
import { delimiter, isAbsolute } from 'node:path';
import type { RehearsalJob, Trigger } from './pipeline.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What a network may need; everything else of the user's own environment stays out of the jobs. */
const passed = [
  'LANG',
  'LC_ALL',
  'TZ',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'SSL_CERT_FILE',
];

export interface JobPlace {
  home: string;
  temporary: string;
  bin: string;
  dockerConfig: string;
  bashEnv: string;
}

export function machineEnvironment(env: Env, place: JobPlace): Record<string, string> {
  const own = passed.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  return {
    ...Object.fromEntries(own),
    PATH: [place.bin, cleanPath(env)].join(delimiter),
    HOME: place.home,
    TMPDIR: place.temporary,
    DOCKER_CONFIG: place.dockerConfig,
    DOCKER_BUILDKIT: '1',
    BASH_ENV: place.bashEnv,
    // As at CircleCI, docker reaches no engine until setup_remote_docker has been run.
    DOCKER_HOST: `unix://${place.temporary}/no-engine-without-setup_remote_docker`,
  };
}

/** Without what npm puts before it. */
function cleanPath(env: Env): string {
  const folders = (env.PATH ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter);
  return folders.filter((folder) => isAbsolute(folder) && !folder.endsWith('node_modules/.bin')).join(delimiter);
}

export function circleEnvironment(
  job: RehearsalJob,
  workflowId: string,
  buildNumber: number,
  { ref, revision, gitUrl, id }: Trigger,
): Record<string, string> {
  const [owner, repository] = projectOf(gitUrl);
  return {
    CI: 'true',
    CIRCLECI: 'true',
    CIRCLE_BUILD_NUM: String(buildNumber),
    CIRCLE_JOB: job.name,
    CIRCLE_NODE_INDEX: '0',
    CIRCLE_NODE_TOTAL: '1',
    CIRCLE_PIPELINE_ID: id,
    CIRCLE_PROJECT_REPONAME: repository,
    CIRCLE_PROJECT_USERNAME: owner,
    CIRCLE_REPOSITORY_URL: gitUrl,
    CIRCLE_SHA1: revision,
    CIRCLE_USERNAME: owner,
    CIRCLE_WORKFLOW_ID: workflowId,
    CIRCLE_WORKFLOW_JOB_ID: randomUUID(),
    CIRCLE_WORKING_DIRECTORY: job.workingDirectory,
    ...(ref.kind === 'tag' ? { CIRCLE_TAG: ref.name } : { CIRCLE_BRANCH: ref.name }),
  };
}

/** Of `git@github.com:acme/images.git` and `https://github.com/acme/images`: `acme` and `images`. */
function projectOf(gitUrl: string): [owner: string, repository: string] {
  const [, owner = 'local', repository = 'project'] = /([^/:]+)\/([^/]+?)(?:\.git)?\/?$/.exec(gitUrl) ?? [];
  return [owner, repository];
}
