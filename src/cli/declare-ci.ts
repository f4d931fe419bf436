// The commands below `splitbuild ci`.
import type { Command } from '@commander-js/extra-typings';
import { collect, exit } from './declare.ts';

export function declareCi(program: Command): void {
  const ci = program
    .command('ci')
    .description('the pipeline that does the same in CI: written, checked, imported, rehearsed');

  function pipeline(name: string, description: string) {
    return ci
      .command(name)
      .description(description)
      .argument('<provider>', 'circleci, github or gitlab')
      .option('-c, --config <file>', 'the config file', 'splitbuild.yaml')
      .option('--set <name=value>', 'set a variable of the config (repeatable)', collect, [] as string[])
      .option('--chain <arch|manifest>', 'what a downstream build waits for: its platform, or the joined image')
      .option('--mode <native|emulated>', 'a job a platform, or one emulated job an image')
      .option('--steps <docker|splitbuild>', 'plain docker commands, or calls of splitbuild', 'docker');
  }

  pipeline('generate', 'write the pipeline of the config’s workflows')
    .option('-o, --out <file>', 'where to; - for standard output; where the provider looks for it when not given')
    .option('--json', 'print the jobs as JSON, before a provider’s syntax')
    .addHelpText('after', '\nExample:\n  splitbuild ci generate circleci --chain arch')
    .action(async (provider, options) => exit((await import('./ci.ts')).ciGenerate(provider, options)));

  pipeline('check', 'compare the committed pipeline with what the config gives, and look for what can’t work')
    .option('--remote', 'ask the registries whether images of others have the platforms that are wanted of them')
    .option('--file <file>', 'the committed file, where it is not where the provider looks for it')
    .addHelpText('after', '\nExample:\n  splitbuild ci check circleci')
    .action(async (provider, options) => exit((await import('./ci.ts')).ciCheck(provider, options)));

  ci.command('import')
    .description('write a config of a pipeline that was written by hand; what it can’t express stays as comments')
    .argument('<provider>', 'circleci')
    .argument('<file>', 'the pipeline: .circleci/config.yml')
    .option(
      '-o, --out <file>',
      'the config to write, which must not be there yet; - for standard output',
      'splitbuild.yaml',
    )
    .option('--project <owner/repository>', 'the repository that the pipeline is of; git’s origin when not given')
    .option('--json', 'print what was found as JSON')
    .addHelpText('after', '\nExample:\n  splitbuild ci import circleci .circleci/config.yml --out -')
    .action(async (provider, file, options) =>
      exit((await import('./ci-import.ts')).ciImport(provider, file, options)),
    );

  ci.command('rehearse')
    .description('run a CircleCI pipeline on this machine, to try it before it is pushed')
    .argument('<file>', 'the pipeline: .circleci/config.yml')
    .argument('[workflow]', 'the workflow; needed where several are for the branch or tag')
    .option('--branch <name>', 'the branch that it is for; the one that is checked out when not given')
    .option('--tag <name>', 'the git tag that it is for, instead of a branch')
    .option(
      '--builder <class=endpoint>',
      'the engine for jobs of a resource class; default=… for the rest (repeatable)',
      collect,
      [] as string[],
    )
    .option('-c, --config <file>', 'the config file, for builders and their classes', 'splitbuild.yaml')
    .option('--contexts <file>', 'YAML of each context’s environment variables')
    .option('--checkout <folder>', 'what the checkout step gives; the repository that the file lies in when not given')
    .option('--jobs <number>', 'jobs at a time', '2')
    .option('--docker-config <folder>', 'the docker logins that jobs have; none when not given')
    .option('--allow-gh', 'really call gh, instead of only noting the calls')
    .option('--record <file>', 'where to note the calls of gh, as JSON lines')
    .option('--list', 'print the jobs in their order, and run none')
    .option('--json', 'print events as JSON lines')
    .option('--verbose', 'print every line of every step')
    .addHelpText(
      'after',
      '\nExample:\n  splitbuild ci rehearse .circleci/config.yml develop --builder default=local --builder arm.medium=ssh://ci@arm-1',
    )
    .action(async (file, workflow, options) => exit((await import('./rehearse.ts')).rehearse(file, workflow, options)));
}
