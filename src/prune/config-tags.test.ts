// Which names the config's tags may have, from a config as a person writes it.
import { expect, test } from 'vitest';
import { readConfig } from '../config/read.ts';
import { configTags } from './config-tags.ts';

test('tags of the file and of every workflow stay, with their arch tags; what git knows is a glob', () => {
  const text = `version: 1
family: t
platforms: [linux/amd64, linux/arm64]
tags: [develop]
images:
  app: { repository: t/app, source: . }
workflows:
  release: { on: { tag: "v6.*" }, tags: ["\${gitTag}", latest] }
  nightly: { on: { branch: main }, tags: ["night-\${commit}"] }
`;
  const config = readConfig(text, { file: 'splitbuild.yaml', env: {}, set: {}, now: new Date(0) });
  if (!config.ok) throw new Error(JSON.stringify(config.failure));
  const [image] = config.value.images;
  const tags = image ? configTags(config.value, image) : [];
  expect(tags).toEqual(
    ['develop', 'v6.*', 'latest', 'night-*'].flatMap((tag) => [tag, `${tag}-amd64`, `${tag}-arm64`]),
  );
});
