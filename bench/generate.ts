// How long `ci generate` takes for families of many images, process start included: the median of five, for each provider.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'splitbuild-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const program = join(import.meta.dirname, '../dist/cli.js');

for (const count of [100, 1000]) {
  const images = Array.from({ length: count }, (_, place) => {
    const needs = place > 0 ? `, needs: [i${Math.floor((place - 1) / 3)}]` : '';
    return `  i${place}: { repository: "\${org}/i${place}", source: "https://git.example.com/\${org}/i${place}.git#\${branch}"${needs} }\n`;
  });
  writeFileSync(
    join(folder, 'splitbuild.yaml'),
    `version: 1\nfamily: many\nplatforms: [linux/amd64, linux/arm64]\nvars: { org: o, branch: develop }\nimages:\n${images.join('')}workflows: { develop: { on: { branch: develop }, tags: [develop] } }\n`,
  );
  for (const provider of ['circleci', 'github', 'gitlab']) {
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now();
      const ran = spawnSync(process.execPath, [program, 'ci', 'generate', provider], { cwd: folder, encoding: 'utf8' });
      if (ran.status !== 0) throw new Error(ran.stderr);
      return performance.now() - started;
    }).sort((a, b) => a - b);
    process.stdout.write(
      `${provider.padEnd(9)} ${String(count).padStart(5)} images  ${((times[2] ?? 0) / 1000).toFixed(2)} s\n`,
    );
  }
}
