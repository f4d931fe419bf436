// The plan as plain data: what is to be done, in what order; no word on how.
import type { Platform } from '../image/platform.ts';

/** An image reference in a Dockerfile that is pinned, before the build, to what an upstream task made. */
export interface UpstreamPin {
  /** Image of the family. */
  image: string;
  /** As written after ARG substitution, normalised: `docker.io/hysds/base:develop`. */
  reference: string;
}

export interface BuildTask {
  kind: 'build';
  /** `build base linux/arm64`; unique within a plan. */
  id: string;
  image: string;
  platform: Platform;
  mode: 'native' | 'emulated';
  /** Folder on the coordinator, absolute. */
  context: string;
  /** Absolute path. */
  dockerfile: string;
  target?: string;
  args: Record<string, string>;
  /** Names of environment variables that hold secrets, by BuildKit secret id. */
  secrets: string[];
  upstreams: UpstreamPin[];
  /** Ids of the tasks that must be done first. */
  needs: string[];
  /** Commit of a git source. */
  commit?: string;
}

export interface PublishTask {
  kind: 'publish';
  /** `publish base`. */
  id: string;
  image: string;
  /** Without tag: `127.0.0.1:5000/hysds/base`. */
  repository: string;
  platforms: Platform[];
  tags: string[];
  /** Arch tags by platform: `{ 'linux/arm64': ['develop-arm64'] }`. */
  archTags: Record<string, string[]>;
  needs: string[];
}

export type Task = BuildTask | PublishTask;

export interface Plan {
  version: 1;
  family: string;
  registry: string;
  publish: 'image' | 'family';
  tasks: Task[];
}
