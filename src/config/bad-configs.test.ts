// Broken configs, each with the code, the place and a word of the help that it must get. Places are counted by hand.
import { expect, test } from 'vitest';
import type { Diagnostic } from '../failure.ts';
import { type ReadOptions, readConfig } from './read.ts';

const options: ReadOptions = { file: 'splitbuild.yaml', env: {}, set: {} };
/** Three lines that a config needs; what follows begins in line 4. */
const head = 'version: 1\nfamily: f\nplatforms: [linux/amd64, linux/arm64]\n';
const images = 'images: { a: { repository: o/a }, b: { repository: o/b } }\n';
/** Four lines; what follows begins in line 5. */
const whole = head + images;

function diagnose(text: string, more: Partial<ReadOptions> = {}): Diagnostic[] {
  const result = readConfig(text, { ...options, ...more });
  if (result.ok) return result.value.warnings;
  return result.failure.kind === 'diagnostics' ? result.failure.diagnostics : [];
}

type Row = [text: string, code: string, place: string, message: RegExp, help: RegExp, more?: Partial<ReadOptions>];
const image = (body: string): string => `${head}images:\n  a: { repository: o/a, ${body} }\n`;

const rows: Row[] = [
  // YAML
  ['a: "x\n', 'yaml', '1:6', /missing closing "quote/, /^$/],
  ['version: 1\nfamily: f\nfamily: g\n', 'yaml', '3:1', /twice/, /keep one/],
  ['images:\n\ta: 1\n', 'yaml', '2:1', /tabs/, /spaces/],
  ['version: 1\n---\nversion: 1\n', 'yaml', '2:1', /second document/, /file of its own/],
  ['a: *x\n', 'yaml', '1:4', /anchor '&x'/, /^$/],
  ['a: &x [*x]\n', 'yaml', '1:8', /no end/, /^$/],
  ['? [a]\n: b\n', 'yaml', '1:3', /key must be text/, /^$/],
  ['images: { a: { repository: ${org}/a } }\n', 'yaml', '1:29', /./, /in quotes/],
  // Shape
  ['', 'wrong-type', '1:1', /config is empty/, /version/],
  ['- a\n', 'wrong-type', '1:1', /config must be a map/, /version/],
  [`family: f\nplatforms: [amd64]\n${images}`, 'missing-key', '1:1', /the config has no 'version'/, /version: 1/],
  [whole.replace('1', '2'), 'wrong-type', '1:1', /'version' must be 1/, /version: 1/],
  [
    whole.replace('[linux/amd64, linux/arm64]', 'linux/amd64'),
    'wrong-type',
    '3:1',
    /'platforms' must be a list, as \[linux\/amd64, linux\/arm64\]/,
    /\[linux\/amd64\]/,
  ],
  [whole.replace('[linux/amd64, linux/arm64]', '[]'), 'empty', '3:1', /'platforms' must not be empty/, /linux\/amd64/],
  [whole.replace('family: f', 'family: 1.10'), 'wrong-type', '2:1', /'family' must be text/, /"1\.10"/],
  [`${head}images:\n  x: { needs: [] }\n`, 'missing-key', '5:3', /image 'x' has no 'repository'/, /repository: /],
  [`${head}images:\n  x:\n`, 'wrong-type', '5:3', /image 'x' is empty; it must be a map/, /value/],
  [image('args: [A]'), 'wrong-type', '5:25', /'args' must be a map, as \{ BRANCH: develop \}/, /args/],
  [image('args: { A: [1] }'), 'wrong-type', '5:33', /'A' must be text, a number, or true or false/, /^$/],
  [image('needs: [1]'), 'wrong-type', '5:33', /item 1 of 'needs' must be text/, /"1"/],
  [image('mode: emulate'), 'wrong-type', '5:25', /'mode' must be native or emulated/, /'emulated'/],
  [`${whole}builders: [{ name: x }]\n`, 'missing-key', '5:12', /builder 1 has no 'endpoint'/, /ssh:/],
  [
    `${whole}builders: [{ name: x, endpoint: local, slots: 0 }]\n`,
    'wrong-type',
    '5:40',
    /'slots' must be a whole number above 0/,
    /4/,
  ],
  [
    `${whole}builders: [{ name: x, endpoint: local, slots: "2" }]\n`,
    'wrong-type',
    '5:40',
    /whole number/,
    /without quotes/,
  ],
  [`${whole}registry: [x]\n`, 'wrong-type', '5:1', /'registry' must be text or a map/, /docker\.io/],
  // Unknown keys
  [`${whole}platform: x\n`, 'unknown-key', '5:1', /'platform' in the config/, /'platforms'/],
  [image('repo: x'), 'unknown-key', '5:25', /'repo' in image 'a'/, /'repository'/],
  [image('build_args: {}'), 'unknown-key', '5:25', /'build_args'/, /known here: dockerfile, context, args/],
  [`${whole}registry: { listn: x }\n`, 'unknown-key', '5:13', /'listn' in 'registry'/, /'listen'/],
  [`${whole}workflows: { w: { on: { brnch: x } } }\n`, 'unknown-key', '5:25', /'brnch' in 'on'/, /'branch'/],
  [
    `${whole}exports: [{ image: a, file: "\${arch}", suffix: x }]\n`,
    'unknown-key',
    '5:40',
    /'suffix' in export 1/,
    /image, file, plain/,
  ],
  // Variables
  [
    image('target: "x-${orgg}"').replace('images', 'vars: { org: o }\nimages'),
    'undefined-variable',
    '6:36',
    /'orgg' is not defined/,
    /'org'/,
  ],
  [image('target: "${UID:-1}"'), 'undefined-variable', '5:34', /not defined/, /\$\$\{UID:-1\}/],
  [image('target: "${org"'), 'variable-syntax', '5:34', /does not end/, /'\}'/],
  [`${whole}vars: { x: "\${y}", y: "\${x}" }\n`, 'variable-cycle', '5:12', /x -> y -> x/, /its own/],
  [`${whole}vars: { arch: x }\n`, 'reserved-variable', '5:9', /of its own/, /another name/],
  [`${whole}vars: { "a b": x }\n`, 'variable-name', '5:9', /no name/, /letters/],
  [image('target: "${env:NOPE}"'), 'variable-without-value', '5:34', /'NOPE' is not set/, /NOPE/],
  [image('target: "${arch}"'), 'variable-without-value', '5:34', /differs by platform/, /'args'/],
  [image('target: "${commit}"'), 'variable-without-value', '5:34', /'commit' has no value here/, /--set commit/],
  [`${whole}tags: ["\${gitTag}"]\n`, 'variable-without-value', '5:9', /HEAD has no git tag/, /checkout/],
  [`${whole}tags: ["\${tag}"]\n`, 'variable-without-value', '5:9', /'tag' has no value/, /the tag itself/],
  [
    `${whole}workflows: { r: { tags: ["\${gitTag}"] } }\n`,
    'variable-without-value',
    '5:27',
    /gitTag/,
    /checkout/,
    { workflow: 'r' },
  ],
  [`${whole}vars: { org: o }\n`, 'unused-set', '5:1', /--set ogr=… changes nothing/, /'org'/, { set: { ogr: 'x' } }],
  // Platforms
  [whole.replace('amd64', 'amd46'), 'platform', '3:13', /'linux\/amd46' is not a platform/, /'linux\/amd64'/],
  [whole.replace('linux/amd64', 'aarch64'), 'duplicate-platform', '3:22', /same as 'aarch64'/, /leave one out/],
  [image('platforms: [amd64, amd64]'), 'duplicate-platform', '5:44', /'amd64' is there twice$/, /leave/],
  [`${whole}defaults: { platforms: [a/b/c/d] }\n`, 'platform', '5:25', /not a platform/, /os\/arch/],
  // Images
  [`${head}images: {}\n`, 'no-images', '4:1', /no images/, /repository/],
  [`${head}images: { My Image: { repository: o/a } }\n`, 'image-name', '4:11', /can't name/, /'my-image'/],
  [image('').replace('o/a', 'Org/A'), 'repository', '5:20', /can't be a repository/, /'org\/a'/],
  [image('').replace('o/a', 'o/a:1'), 'repository', '5:20', /has a tag/, /'o\/a'; tags/],
  [image('').replace('o/a', 'ghcr.io/o/a'), 'repository', '5:20', /names a registry/, /'registry: ghcr\.io'/],
  [image('').replace('o/a', 'docker.io/o/a'), 'repository', '5:20', /names a registry/, /'o\/a'/],
  [image('').replace('o/a', 'o//a'), 'repository', '5:20', /can't be a repository/, /joined by \//],
  [
    `vars: { o: o }\n${whole.replace('o/b', '"${o}/a"')}`,
    'duplicate-repository',
    '5:52',
    /'a' and 'b' have the same repository 'o\/a'/,
    /its own/,
  ],
  [image('dockerfile: ../Dockerfile'), 'path-outside', '5:37', /outside the source/, /'source'/],
  [image('context: /srv'), 'path-outside', '5:34', /absolute/, /top of the source/],
  [image('context: x/../../y'), 'path-outside', '5:34', /outside/, /'source'/],
  [`${whole}defaults: { dockerfile: /D }\n`, 'path-outside', '5:25', /'dockerfile'/, /source/],
  [image('args: { GITHUB_TOKEN: x }'), 'secret-arg', '5:33', /looks like a secret/, /'secrets'/],
  [`${whole}defaults: { args: { apiKey: x } }\n`, 'secret-arg', '5:21', /apiKey/, /id=apiKey/],
  [image('secrets: [git-token]'), 'secret-name', '5:35', /can't name a secret/, /environment variable/],
  [image('mirror: "redis:7", source: .'), 'mirror-source', '5:25', /both 'mirror' and 'source'/, /leave out/],
  [image('mirror: "Redis:7"'), 'reference', '5:33', /not an image reference/, /lower case/],
  [image('source: "htps://x/y"'), 'source', '5:33', /neither a folder nor a git URL/, /#main:folder/],
  [image('source: "https://x/y.git#main:../z"'), 'source', '5:55', /'..\/z' lies outside/, /folder/],
  [image('tags: [feature/x]'), 'tag', '5:32', /'feature\/x' can't be a tag/, /'feature-x'/],
  // References
  [image('needs: [bas]').replace('a:', 'base:'), 'unknown-image', '5:36', /no image 'bas'/, /'base'/],
  [
    `${whole}groups: { g: { images: [a, zzz], script: x } }\n`,
    'unknown-image',
    '5:28',
    /no image 'zzz'/,
    /known here: a, b/,
  ],
  [`${whole}exports: [{ image: zzz, file: x }]\n`, 'unknown-image', '5:20', /'zzz'/, /a, b/],
  [`${whole}exports: [{ image: a, file: x }]\n`, 'export-file', '5:29', /all platforms/, /archSuffix/],
  [`${whole}exports: [{ image: a, file: "\${arch}", plain: x86 }]\n`, 'platform', '5:47', /'x86'/, /os\/arch/],
  [
    `${whole}exports: [{ image: a, file: "\${arch}", plain: linux/386 }]\n`,
    'export-platform',
    '5:47',
    /not built for linux\/386/,
    /linux\/amd64, linux\/arm64/,
  ],
  [`${whole}workflows: { w: { exports: [zzz] } }\n`, 'unknown-image', '5:29', /'zzz'/, /a, b/],
  [
    `${whole}workflows: { w: { exports: [a] } }\n`,
    'unknown-export',
    '5:29',
    /'exports' says nothing of image 'a'/,
    /add one/,
  ],
  [`${whole}workflows: { w: { disable: [zzz] } }\n`, 'unknown-image', '5:29', /to disable/, /a, b/],
  [
    `${whole}workflows: { w: { disable: [a, b] } }\n`,
    'no-images',
    '5:19',
    /every image/,
    /at least one/,
    { workflow: 'w' },
  ],
  [
    `${whole}workflows: { release: {} }\n`,
    'unknown-workflow',
    '5:1',
    /no workflow 'relase'/,
    /'release'/,
    { workflow: 'relase' },
  ],
  [whole, 'unknown-workflow', '1:1', /no workflow 'x'/, /no 'workflows'/, { workflow: 'x' }],
  [`${whole}assets: { s: { images: ["A B"] } }\n`, 'reference', '5:25', /not an image reference/, /docker\.io/],
  // Tags
  [`${whole}tags: [v1+2]\n`, 'tag', '5:8', /can't be a tag/, /'v1-2'/],
  [`${whole}tags: [""]\n`, 'tag', '5:8', /can't be a tag/, /128/],
  [`${whole}tags: []\n`, 'empty', '5:1', /'tags' must not be empty/, /develop/],
  [
    `${whole}workflows: { w: { tags: ["\${branch}"] } }\n`,
    'tag',
    '5:26',
    /'feature\/x'/,
    /'feature-x'/,
    { workflow: 'w', git: { branch: 'feature/x' } },
  ],
  [`${whole}archTagSuffix: -x\n`, 'arch-tag-suffix', '5:1', /must contain \$\{arch\}/, /"-x\$\{arch\}"/],
  [`${whole}archTagSuffix: "/\${arch}"\n`, 'arch-tag-suffix', '5:16', /can't be the end of a tag/, /'-\$\{arch\}'/],
  [`${whole}archTagSuffix: "-\${tag}"\n`, 'variable-without-value', '5:18', /'tag' has no value/, /./],
  // Builders
  [
    `${whole}builders: [{ name: x, endpoint: local }, { name: x, endpoint: local }]\n`,
    'duplicate-builder',
    '5:50',
    /builders 1 and 2/,
    /its own/,
  ],
  ...[
    ['unix://var/run/docker.sock', /unix:\/\/\/var\/run\/docker\.sock/],
    ['/var/run/docker.sock', /unix:\/\/\/var\/run\/docker\.sock/],
    ['ci@arm-1', /ssh:\/\/ci@arm-1/],
    ['ssh://', /ssh:\/\/ci@arm-1/],
    ['ssh://me:secret@arm', /no password/],
    ['tcp://arm', /tcp:\/\/arm:2376/],
    ['arm:2375', /tcp:\/\/arm:2375/],
    ['https://arm:2376/', /tcp:\/\/arm:2376' and 'tls'/],
    ['context:arm', /context:\/\/name/],
    ['docker', /'local'/],
  ].map(
    ([endpoint, help]): Row => [
      `${whole}builders: [{ name: x, endpoint: "${endpoint}" }]\n`,
      'endpoint',
      '5:33',
      /is not an endpoint/,
      help instanceof RegExp ? help : /^$/,
    ],
  ),
  // Registries
  [`${whole}registry: myorg/images\n`, 'registry', '5:11', /has no host/, /'docker\.io\/myorg\/images'/],
  [`${whole}registry: https://ghcr.io/acme/\n`, 'registry', '5:11', /host\[:port\]/, /'ghcr\.io\/acme'/],
  [`${whole}registry: ghcr.io/Acme\n`, 'registry', '5:11', /'Acme'/, /'ghcr\.io\/acme'/],
  [`${whole}registry: "ghcr.io/acme:1"\n`, 'registry', '5:11', /'acme:1'/, /tags/],
  [`${whole}registry: "ghcr.io:99999"\n`, 'registry', '5:11', /not the host/, /ghcr\.io/],
  [`${whole}registry: { listen: "a b" }\n`, 'registry', '5:21', /address to listen at/, /127\.0\.0\.1:5000/],
  [`${whole}registries: { "https://r.example/v2": {} }\n`, 'registry', '5:15', /not the host/, /'r\.example'/],
  // Variables of images, groups and workflows
  [image('vars: { a: [1] }'), 'wrong-type', '5:33', /'a' must be text, a number, or true or false/, /^$/],
  [image('vars: { tag: x }'), 'reserved-variable', '5:33', /of its own/, /under 'tags'/],
  [image('vars: { x: "${x}-y" }'), 'variable-cycle', '5:36', /x -> x/, /its own/],
  [image('vars: { x: "${yy}" }'), 'undefined-variable', '5:37', /'yy'/, /\$\$\{yy\}/],
  [
    `${head}vars: { x: "\${y}", y: z }\nimages:\n  a: { repository: "o/\${x}", vars: { y: "\${x}" } }\n`,
    'variable-cycle',
    '4:12',
    /x -> y -> x/,
    /its own/,
  ],
  [
    `${head}images:\n  a: { repository: o/a, vars: { stage: x } }\n  b: { repository: o/b, target: "\${stage}" }\n`,
    'undefined-variable',
    '6:34',
    /'stage' is not defined/,
    /image 'a' has it for itself: write it under 'vars' at the top/,
  ],
  [
    `${head}images: { a: { repository: "o/\${v}" } }\nworkflows: { w: { vars: { v: a } } }\n`,
    'undefined-variable',
    '4:31',
    /'v' is not defined/,
    /workflow 'w' gives it a value: choose that with --workflow/,
  ],
  [`${whole}workflows: { w: { vars: { "a b": x } } }\n`, 'variable-name', '5:27', /no name/, /letters/],
  [`${whole}workflows: { w: { vars: { v: "\${w}" } } }\n`, 'undefined-variable', '5:31', /'w'/, /\$\$/],
  [
    `${head}images: { a: { repository: o/a, tags: ["\${v}"] } }\nworkflows: { w: { vars: { v: "\${gitTag}" } } }\n`,
    'variable-without-value',
    '4:41',
    /HEAD has no git tag/,
    /checkout/,
    { workflow: 'w' },
  ],
  [
    `${head}defaults: { context: "\${dir}" }\nimages:\n  a: { repository: o/a, vars: { dir: x } }\n  b: { repository: o/b, vars: { dir: ../x } }\n`,
    'path-outside',
    '4:22',
    /'\.\.\/x' lies outside/,
    /'source'/,
  ],
  [
    `${head}defaults: { args: { D: "\${dir}" } }\nimages:\n  a: { repository: o/a, vars: { dir: x } }\n  b: { repository: o/b }\n`,
    'undefined-variable',
    '4:25',
    /'dir'/,
    /image 'a' has it for itself/,
  ],
  [
    `${head}defaults: { mode: "\${m}" }\nimages:\n  a: { repository: o/a, vars: { m: native } }\n  b: { repository: o/b, vars: { m: fast } }\n`,
    'wrong-type',
    '4:13',
    /'mode' must be native or emulated/,
    /native or emulated/,
  ],
  [`${whole}defaults: { vars: { a: b } }\n`, 'unknown-key', '5:13', /'vars' in 'defaults'/, /known here/],
  // What only git knows, later
  [`${whole}tags: ["\${gitTag}+1"]\n`, 'tag', '5:8', /'\$\{gitTag\}\+1'/, /'\$\{gitTag\}-1'/, { git: 'later' }],
  [`${whole}tags: ["$\${gitTag}"]\n`, 'tag', '5:8', /can't be a tag/, /128/, { git: 'later' }],
  [image('source: "htps://x/${branch}"'), 'source', '5:33', /neither a folder/, /#main/, { git: 'later' }],
  [image('job: "${branch}"'), 'job-name', '5:30', /can't name a job/, /letters/, { git: 'later' }],
  // Names of CI jobs
  [image('job: a.b'), 'job-name', '5:30', /'a\.b' can't name a job/, /'a-b'/],
  [image('job: ""'), 'job-name', '5:30', /can't name a job/, /letters/],
  [image('job: [a]'), 'wrong-type', '5:25', /'job' must be text/, /job: build_base/],
  [
    whole.replace('o/b', 'o/b, job: a'),
    'duplicate-job',
    '4:62',
    /of image 'a' and image 'b' are both named 'a'/,
    /'job: a-image'/,
  ],
  [
    `${whole}groups: { b: { images: [a], script: x } }\n`,
    'duplicate-job',
    '5:11',
    /of image 'b' and group 'b'/,
    /'job: b-group'/,
  ],
  // Lists of workflows
  [
    `${whole}workflows: { w: { jobs: [tset] } }\nci: { github: { jobs: { test: {} } } }\n`,
    'unknown-job',
    '5:26',
    /no job 'tset' under 'ci'/,
    /'test'/,
  ],
  [`${whole}workflows: { w: { jobs: [x] } }\n`, 'unknown-job', '5:26', /no job 'x'/, /ci\.circleci\.jobs\.x/],
  [`${whole}workflows: { w: { jobs: [] } }\n`, 'empty', '5:19', /'jobs' must not be empty/, /test/],
  [
    `${whole}assets: { support: { images: ["registry:2"] } }\nworkflows: { w: { assets: [suport] } }\n`,
    'unknown-asset',
    '6:28',
    /no asset 'suport'/,
    /'support'/,
  ],
  [`${whole}workflows: { w: { assets: [x] } }\n`, 'unknown-asset', '5:28', /'x'/, /no 'assets'/],
  // Exports and assets
  [`${whole}assets: { s: { images: [] } }\n`, 'empty', '5:16', /'images' must not be empty/, /registry:2/],
  [`${whole}assets: { s: { images: [3] } }\n`, 'wrong-type', '5:25', /item 1 of 'images' must be text or a map/, /./],
  [
    `${whole}assets: { s: { images: [{ as: "x:1" }] } }\n`,
    'missing-key',
    '5:25',
    /item 1 of 'images' has no 'image'/,
    /./,
  ],
  [
    `${whole}assets: { s: { images: [{ image: "x:1", az: y }] } }\n`,
    'unknown-key',
    '5:41',
    /'az'/,
    /known here: image, as/,
  ],
  [`${whole}assets: { s: { images: [{ image: "X:1" }] } }\n`, 'reference', '5:34', /'X:1'/, /lower case/],
  [
    `${whole}assets: { s: { images: [{ image: "x:1", as: y }] } }\n`,
    'asset-name',
    '5:45',
    /not name:tag/,
    /'y:latest'/,
  ],
  [`${whole}assets: { s: { images: [{ image: "x:1", as: "Y:1" }] } }\n`, 'asset-name', '5:45', /'Y:1'/, /lower case/],
  [
    `${whole}assets: { s: { images: [{ image: "x:1", file: x-1.tar.gz }] } }\n`,
    'asset-file',
    '5:47',
    /without its ending/,
    /'x-1': -arch and '\.tar\.gz' are added/,
  ],
  [`${whole}assets: { s: { images: [{ image: "x:1", file: a/b }] } }\n`, 'asset-file', '5:47', /'a\/b'/, /'b'/],
  [
    `${whole}assets: { s: { images: ["o/x:1", "p/x:1"] } }\n`,
    'duplicate-file',
    '5:34',
    /'o\/x:1' and 'p\/x:1' are saved in the same file 'x-1'/,
    /'file' of its own/,
  ],
  [
    `${whole}assets: { s: { images: [{ image: "x:1", platforms: [amd46] }] } }\n`,
    'platform',
    '5:53',
    /'amd46'/,
    /os\/arch/,
  ],
  [
    `${whole}assets: { s: { images: ["x:1"], plain: linux/386 } }\n`,
    'export-platform',
    '5:40',
    /no image of asset 's' is for linux\/386/,
    /linux\/amd64, linux\/arm64/,
  ],
  [
    `${whole}assets: { s: { images: ["x:1"], deploy: { github-releas: o/r } } }\n`.replace(
      'releas:',
      'release: o/r, s3:',
    ),
    'unknown-key',
    '5:64',
    /'s3' in 'deploy'/,
    /github-release/,
  ],
  [
    `${whole}assets: { s: { images: ["x:1"], deploy: {} } }\n`,
    'missing-key',
    '5:33',
    /no 'github-release'/,
    /acme\/base/,
  ],
  [
    `${whole}exports: [{ image: a, file: "\${arch}", deploy: { github-release: "https://github.com/o/r.git" } }]\n`,
    'github-release',
    '5:66',
    /not a repository of GitHub/,
    /write 'o\/r'/,
  ],
  [
    `${whole}assets: { s: { images: ["x:1"], deploy: { github-release: r } } }\n`,
    'github-release',
    '5:59',
    /'r'/,
    /owner\/repository/,
  ],
  // CI providers
  [`${whole}ci: { circle: {} }\n`, 'unknown-key', '5:7', /'circle' in 'ci'/, /'circleci'/],
  [
    `${whole}ci: { circleci: { parameters: {} } }\n`,
    'unknown-key',
    '5:19',
    /'parameters' in 'circleci'/,
    /deployImage/,
  ],
  [
    `${whole}ci: { circleci: { resourceClass: large } }\n`,
    'wrong-type',
    '5:19',
    /'resourceClass' must be a map/,
    /arm\.medium/,
  ],
  [`${whole}ci: { circleci: { resourceClass: { defualt: x } } }\n`, 'platform', '5:36', /'defualt'/, /'default'/],
  [`${whole}ci: { github: { runners: { arm46: x } } }\n`, 'platform', '5:28', /'arm46'/, /linux\/arm64/],
  [
    `${whole}ci: { gitlab: { tags: { arm64: [x], linux/aarch64: [y] } } }\n`,
    'duplicate-platform',
    '5:37',
    /same as 'arm64'/,
    /leave one out/,
  ],
  [`${whole}ci: { gitlab: { tags: { default: x } } }\n`, 'wrong-type', '5:25', /'default' must be a list/, /\[x\]/],
  [`${whole}ci: { github: { runners: { default: 1 } } }\n`, 'wrong-type', '5:28', /must be text or a list/, /^$/],
  [`${whole}ci: { gitlab: { jobs: [x] } }\n`, 'wrong-type', '5:17', /'jobs' must be a map/, /test/],
];

test.each(rows)('%j gets %s at %s', (text, code, place, message, help, more) => {
  const found = diagnose(text, more);
  const [first] = found;
  expect(found.map((one) => one.code)).toEqual([code]);
  expect(`${first?.location?.line}:${first?.location?.column}`).toBe(place);
  expect(first?.message).toMatch(message);
  expect(first?.help ?? '').toMatch(help);
  expect(first?.location?.text).toBe(text.split('\n')[(first?.location?.line ?? 0) - 1]);
});
