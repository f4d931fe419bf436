// A CI pipeline as plain data, before a provider's syntax: workflows of jobs, jobs of steps, steps of POSIX shell. Every emitter reads it,
// and so does the check; which jobs there are and what they do is decided here once, from the same plan that the executor runs.
import type { Platform } from '../image/platform.ts';

export interface Pipeline {
  family: string;
  workflows: PipelineWorkflow[];
}

export interface PipelineWorkflow {
  name: string;
  /** Branch name, pattern of git tags (`v6.*`), cron expression; none of them: on every push. */
  on: { branch?: string; tag?: string; schedule?: string };
  /** In an order in which each comes after what it needs. */
  jobs: Job[];
}

export interface Job {
  /** `build-base-amd64`, `build-base-manifest`; unique in its workflow, and the same job in every workflow that has it. */
  name: string;
  /** One line for people: `base for linux/arm64`. */
  title: string;
  kind: 'build' | 'publish' | 'emulated' | 'mirror' | 'save' | 'deploy';
  /** Of the machine that it is to run on; undefined where any will do. */
  platform?: Platform;
  /** Wants the large machine: it emulates. */
  large: boolean;
  /** Names of jobs of the same workflow. */
  needs: string[];
  /**
   * Parameters by name, in order: what the steps read as upper-case environment variables (`org` is `$ORG`). A value may hold `${gitTag}`,
   * `${branch}` and `${commit}`, which only the provider knows. `build_tag` and `final_tag` are always there where tags are made.
   */
  params: Record<string, string>;
  /** Names of secrets that its steps read as environment variables. */
  secrets: string[];
  steps: Step[];
  /** Ids of the plan's tasks that it carries out. */
  tasks: string[];
}

export type Step =
  /** The repository that the pipeline lies in. */
  | { kind: 'checkout' }
  | ScriptStep
  /** Keeps a folder of this job for the jobs that need it, and gives it to them. */
  | { kind: 'persist'; folder: string }
  | { kind: 'attach'; folder: string };

/** POSIX sh under `set -eu`. It sees the job's parameters, its secrets, and `$RUN_ID`: unique to the pipeline's run and fit for a tag. */
export interface ScriptStep {
  kind: 'script';
  /** For people: `Build base for linux/arm64`. */
  name: string;
  /** The whole of it: the settings, then the body. */
  script: string;
  /** The same in parts, for providers that can share a body between jobs. */
  parts?: {
    /** Name of the body: `build`, `publish`; the same name is the same body. */
    uses: string;
    body: string;
    /** Variables that the body reads; in a value `${org}` is a parameter of the job. */
    settings: Record<string, string>;
  };
}
