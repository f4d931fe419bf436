// Where the program begins: what is asked for most often and needs nothing is answered here, before anything else is loaded. The rest is
// loaded with the compile cache on, so that what V8 made of its code at one start serves the next.
import module from 'node:module';
import packageJson from '../../package.json' with { type: 'json' };
import { say } from './say.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const { argv } = process;
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(
    `error: splitbuild needs Node 22.12 or newer, and this is ${process.versions.node} (${process.execPath})\n`,
  );
  process.exitCode = 2;
} else if (argv.length === 3 && (argv[2] === '--version' || argv[2] === '-V')) {
  say(`${packageJson.version}\n`);
} else if (argv[2] !== 'join' || !(await (await import('./quick-join.ts')).quickJoin(argv.slice(3)))) {
  module.enableCompileCache?.();
  await import('./main.ts');
}
