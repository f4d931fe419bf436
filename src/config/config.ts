// The config once read, checked and expanded: plain data that the family and the plan start from.
import type { Diagnostic } from '../failure.ts';
import type { Platform } from '../image/platform.ts';
import type { Written } from './schema.ts';

export type SourceConfig =
  /** `path` is absolute. */
  { kind: 'folder'; path: string } | { kind: 'git'; url: string; ref: string; subdir?: string };

export interface ImageConfig {
  name: string;
  /** Without the registry. */
  repository: string;
  source: SourceConfig;
  /** Relative to the source's folder, never to the context: resolve it as `resolve(source, dockerfile)`. */
  dockerfile: string;
  /** Relative to the source's folder. */
  context: string;
  target?: string;
  /** Values are templates: give them to `expandTemplate` for each platform. */
  args: Record<string, string>;
  /** Other images of this config that are built before, besides those that the Dockerfile names. */
  needs: string[];
  platforms: Platform[];
  secrets: string[];
  mode: 'native' | 'emulated';
  mirror?: string;
  /** Tags of this image, instead of the run's. */
  tags?: string[];
}

export interface BuilderConfig {
  name: string;
  endpoint: string;
  engine: 'docker' | 'buildah';
  platforms?: Platform[];
  slots?: number;
  tls?: { ca?: string; cert?: string; key?: string };
}

export type RegistryConfig = { kind: 'embedded'; listen?: string } | { kind: 'remote'; host: string; prefix?: string };

/**
 * For a run of one workflow (or of none): images that it disables are left out, also where others name them.
 *
 * All texts are final but these, which are templates for `expandTemplate` (template.ts): values of `images[].args`,
 * `groups.*.script`, `exports[].file`. In `archTagSuffix` stands `${arch}`. Tags in `workflows`, which may be for a CI job
 * to come, keep `${gitTag}`, `${branch}` and `${commit}`; those of this run are in `tags`.
 */
export interface Config {
  file: string;
  /** Absolute path of the folder that the file lies in. */
  folder: string;
  family: string;
  platforms: Platform[];
  images: ImageConfig[];
  groups: NonNullable<Written['groups']>;
  /** Those that the chosen workflow names, or all. */
  exports: NonNullable<Written['exports']>;
  assets: NonNullable<Written['assets']>;
  workflows: NonNullable<Written['workflows']>;
  /** Of the chosen workflow, or of the file; at least one. */
  tags: string[];
  builders: BuilderConfig[];
  registry: RegistryConfig;
  registries: NonNullable<Written['registries']>;
  publish: 'image' | 'family';
  chain: 'arch' | 'manifest';
  archTagSuffix: string;
  /** As written, without variables. */
  ci: NonNullable<Written['ci']>;
  /** Problems that stop nothing, in the order of the file. */
  warnings: Diagnostic[];
}
