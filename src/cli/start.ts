// Where the program begins: what is asked for most often and needs nothing is answered here, before anything else is loaded. In the bundle,
// the rest is loaded by bundled.ts.
import packageJson from '../../package.json' with { type: 'json' };
import { say } from './say.ts';

async function start(): Promise<void> {
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
    await import('./main.ts');
  }
}

await start();
