// A CircleCI workflow ready to run: every parameter has its value, every command is inlined, every requirement is known.

export interface Rehearsal {
  workflow: string;
  /** Each after all that it requires; only those that the git ref lets run. */
  jobs: RehearsalJob[];
}

export interface RehearsalJob {
  name: string;
  /** Of jobs that run as well; what the filters leave out is no requirement (see `selectJobs`). */
  requires: Requirement[];
  contexts: string[];
  /** `type: approval`: no steps, somebody at CircleCI lets it pass. */
  approval: boolean;
  resourceClass?: string;
  /** Runs in a virtual machine, which has Docker without setup_remote_docker. */
  machine: boolean;
  /** Of the executor, which is not run. */
  image?: string;
  shell?: string;
  environment: Record<string, string>;
  /** As written: `~/project`. */
  workingDirectory: string;
  steps: Step[];
}

export interface Requirement {
  job: string;
  /** Which ends of that job let this one start. */
  ends: Set<'success' | 'failed' | 'canceled' | 'not_run'>;
}

/** `success`: all before it succeeded. */
export type When = 'on_success' | 'always' | 'on_fail';

export type Step = { name: string; when: When } & (
  | {
      kind: 'run';
      command: string;
      shell?: string;
      environment: Record<string, string>;
      workingDirectory?: string;
      background: boolean;
    }
  | { kind: 'checkout'; path?: string }
  | { kind: 'remote-docker' }
  | { kind: 'persist'; root: string; paths: string[] }
  | { kind: 'attach'; at: string }
  /** Not carried out here. */
  | { kind: 'told' }
);

/** What a pipeline is triggered for, and what `<< pipeline.… >>` is. */
export interface Trigger {
  /** A pipeline is for a branch or for a tag, never for both. */
  ref: { kind: 'branch' | 'tag'; name: string };
  revision: string;
  number: number;
  id: string;
  gitUrl: string;
}
