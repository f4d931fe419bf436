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
  /** Relative to the source. */
  dockerfile: string;
  /** Relative to the source. */
  context: string;
  target?: string;
  args: Record<string, string>;
  needs: string[];
  platforms: Platform[];
  secrets: string[];
  mode: 'native' | 'emulated';
  mirror?: string;
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

export interface Config {
  file: string;
  /** Absolute path of the folder that the file lies in. */
  folder: string;
  family: string;
  platforms: Platform[];
  images: ImageConfig[];
  groups: NonNullable<Written['groups']>;
  exports: NonNullable<Written['exports']>;
  assets: NonNullable<Written['assets']>;
  workflows: NonNullable<Written['workflows']>;
  tags: string[];
  builders: BuilderConfig[];
  registry: RegistryConfig;
  registries: NonNullable<Written['registries']>;
  publish: 'image' | 'family';
  chain: 'arch' | 'manifest';
  archTagSuffix: string;
  warnings: Diagnostic[];
}
