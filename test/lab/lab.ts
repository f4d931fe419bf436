// Real hosts on one machine: each a network namespace on a bridge, with its own dockerd, sshd or registry, to be stopped, frozen, cut off
// or slowed. Needs Linux and root.
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const needed = [
  'dockerd',
  'docker',
  'buildah',
  'skopeo',
  'sshd',
  'ssh',
  'ssh-keygen',
  'docker-registry',
  'nsenter',
  'update-binfmts',
  'iptables',
  'ip',
  'tc',
];
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;

/** Why the lab can't run here; undefined where it can. */
export function labProblem(): string | undefined {
  if (process.platform !== 'linux') return 'the lab needs Linux';
  if (process.getuid?.() !== 0) return 'the lab needs root';
  const folders = (process.env.PATH ?? '').split(':');
  const missing = needed.filter((program) => !folders.some((folder) => folder && existsSync(join(folder, program))));
  if (missing.length > 0) return `not installed: ${missing.join(', ')} (scripts/setup.sh lab installs them)`;
  try {
    accessSync('/proc/sys/net/ipv4/ip_forward');
    run('ip', ['netns', 'list']);
    return undefined;
  } catch (error) {
    return `no network namespaces: ${error instanceof Error ? error.message : error}`;
  }
}

function run(program: string, args: string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

function tryRun(program: string, args: string[]): void {
  try {
    run(program, args);
  } catch {
    // what it was to undo is not there
  }
}

/** A process that the lab keeps on a host. */
export interface Service {
  start(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** SIGKILL, as a machine that loses its power. */
  kill(): Promise<void>;
  /** Frozen: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  log(): string;
}

export interface DockerHost extends Service {
  /** Path of its unix socket, which is reachable on this machine as well: all hosts share its files. */
  socket: string;
  /** Set with `tcp: true`. */
  tcp: string;
}

export interface Host {
  name: string;
  /** `10.77.3.11`. */
  address: string;
  /** With `tcp: true` the engine also listens on port 2375 of the host, without TLS; with `tls`, on 2376. */
  docker(options?: { tcp?: boolean; tls?: TlsFiles; insecureRegistries?: string[] }): Promise<DockerHost>;
  sshd(): Promise<Service>;
  /** Debian's docker-registry on port 5000: with a login, by an htpasswd file; with TLS. */
  registry(options?: { htpasswd?: string; tls?: TlsFiles }): Promise<Service>;
  /** No packet comes or goes until restored. */
  cut(): void;
  restore(): void;
  /** Limits what the host sends and receives, kbit/s; 0 lifts it. */
  slow(kilobits: number): void;
  /** Runs a program on the host. */
  exec(program: string, args: string[]): string;
}

export interface TlsFiles {
  ca: string;
  cert: string;
  key: string;
}

export interface Lab {
  /** Of the lab's own files. */
  folder: string;
  /** This machine on the lab's bridge. */
  address: string;
  /** ssh_config with a key for every host: for SPLITBUILD_SSH_CONFIG. */
  sshConfig: string;
  host(name: string): Host;
  /** A dockerd on this machine's own network, with a bridge of its own. */
  localDocker(options?: { insecureRegistries?: string[] }): Promise<DockerHost>;
  close(): Promise<void>;
}

/** How often a service is started that ends at once. */
const starts = 3;

/** `subnet` is the third number of 10.77.x.0/24: each test file has its own, so that what one left can't harm another. */
export function createLab(subnet: number): Lab {
  const folder = mkdtempSync('/var/tmp/splitbuild-lab-');
  const bridge = `sblab${subnet}`;
  const address = `10.77.${subnet}.1`;
  const services: Service[] = [];
  const namespaces: string[] = [];
  const bridges = [bridge];
  const emulationOff = emulationOn();
  tryRun('ip', ['link', 'delete', bridge]);
  run('ip', ['link', 'add', bridge, 'type', 'bridge']);
  run('ip', ['address', 'add', `${address}/24`, 'dev', bridge]);
  run('ip', ['link', 'set', bridge, 'up']);
  // A Docker Engine on this machine sets the policy of FORWARD to DROP, which br_netfilter applies to what crosses a bridge as well.
  const forward = ['FORWARD', '-i', bridge, '-j', 'ACCEPT'];
  tryRun('iptables', ['-D', ...forward]);
  run('iptables', ['-I', ...forward]);
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'id')]);
  run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'hostkey')]);
  const sshConfig = join(folder, 'ssh_config');
  const knownHosts = join(folder, 'known_hosts');
  writeFileSync(knownHosts, '');
  writeFileSync(sshConfig, '');

  function service(name: string, command: string[], ready: () => Promise<boolean>, namespace?: string): Service {
    const logFile = join(folder, `${name}.log`);
    let child: ChildProcess | undefined;
    const ended = async (): Promise<void> => {
      const current = child;
      if (current && current.exitCode === null && current.signalCode === null) {
        await new Promise((resolve) => current.once('exit', resolve));
      }
      child = undefined;
    };
    const self: Service = {
      async start() {
        const [program = '', ...args] = namespace ? ['nsenter', `--net=/run/netns/${namespace}`, ...command] : command;
        // As systemd does: a dockerd that follows closely on one that was killed may find that one's containerd dying, and give up.
        for (let attempt = 0; attempt < starts; attempt += 1) {
          const log = openSync(logFile, 'a');
          child = spawn(program, args, { stdio: ['ignore', log, log], detached: true });
          closeSync(log);
          for (let tries = 0; tries < 300 && child.exitCode === null; tries += 1) {
            if (await ready()) return;
            await sleep(100);
          }
          if (child.exitCode === null) break;
        }
        throw new Error(`${name} did not start:\n${self.log().slice(-2000)}`);
      },
      async stop() {
        child?.kill('SIGTERM');
        await ended();
      },
      async kill() {
        child?.kill('SIGKILL');
        await ended();
      },
      pause: () => child?.kill('SIGSTOP'),
      resume: () => child?.kill('SIGCONT'),
      log: () => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : ''),
    };
    services.push(self);
    return self;
  }

  async function startDocker(
    name: string,
    flags: string[],
    listening: { tcp?: string; namespace?: string } = {},
  ): Promise<DockerHost> {
    const place = join(folder, name);
    mkdirSync(place, { recursive: true });
    const socket = join(place, 'docker.sock');
    const command = [
      'dockerd',
      ...['--data-root', join(place, 'data'), '--exec-root', join(place, 'exec'), '--pidfile', join(place, 'pid')],
      ...['--host', `unix://${socket}`, ...flags],
    ];
    const answers = async (): Promise<boolean> => {
      // Not in the way of what else this process does: an engine may be restarted in the middle of a test.
      try {
        await promisify(execFile)('docker', ['--host', `unix://${socket}`, 'version'], { timeout: 10_000 });
        return true;
      } catch {
        return false;
      }
    };
    const self = service(`dockerd-${name}`, command, answers, listening.namespace);
    await self.start();
    return { ...self, socket, tcp: listening.tcp ?? '' };
  }

  function host(name: string): Host {
    const namespace = `sb${subnet}-${name}`;
    const number = 11 + namespaces.length;
    const own = `10.77.${subnet}.${number}`;
    const outer = `sb${subnet}v${number}`;
    const inNamespace = (program: string, ...args: string[]): string =>
      run('nsenter', [`--net=/run/netns/${namespace}`, program, ...args]);
    tryRun('ip', ['netns', 'delete', namespace]);
    tryRun('ip', ['link', 'delete', outer]);
    run('ip', ['netns', 'add', namespace]);
    namespaces.push(namespace);
    run('ip', ['link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]);
    run('ip', ['link', 'set', outer, 'master', bridge, 'up']);
    inNamespace('ip', 'address', 'add', `${own}/24`, 'dev', 'eth0');
    inNamespace('ip', 'link', 'set', 'eth0', 'up');
    inNamespace('ip', 'link', 'set', 'lo', 'up');
    inNamespace('ip', 'route', 'add', 'default', 'via', address);
    const place = join(folder, name);
    mkdirSync(place, { recursive: true });

    return {
      name,
      address: own,
      docker({ tcp, tls, insecureRegistries = [] } = {}) {
        const flags = [
          '--bip',
          `10.78.${number}.1/24`,
          ...insecureRegistries.flatMap((one) => ['--insecure-registry', one]),
        ];
        if (tcp) flags.push('--host', `tcp://${own}:2375`, '--tls=false');
        if (tls) {
          flags.push(
            '--host',
            `tcp://${own}:2376`,
            '--tlsverify',
            '--tlscacert',
            tls.ca,
            '--tlscert',
            tls.cert,
            '--tlskey',
            tls.key,
          );
        }
        const listening = tls ? { tcp: `tcp://${own}:2376` } : tcp ? { tcp: `tcp://${own}:2375` } : {};
        return startDocker(name, flags, { ...listening, namespace });
      },
      async sshd() {
        mkdirSync('/run/sshd', { recursive: true });
        const config = join(place, 'sshd_config');
        writeFileSync(
          config,
          [
            'Port 22',
            `HostKey ${join(folder, 'hostkey')}`,
            `AuthorizedKeysFile ${join(folder, 'id.pub')}`,
            'StrictModes no',
            'PermitRootLogin prohibit-password',
            'PasswordAuthentication no',
            'UsePAM no',
            `PidFile ${join(place, 'sshd.pid')}`,
            '',
          ].join('\n'),
        );
        writeFileSync(knownHosts, `${own} ${readFileSync(join(folder, 'hostkey.pub'), 'utf8')}`, { flag: 'a' });
        writeFileSync(
          sshConfig,
          `Host ${name} ${own}\n  HostName ${own}\n  HostKeyAlias ${own}\n  User root\n  IdentityFile ${join(folder, 'id')}\n  IdentitiesOnly yes\n  UserKnownHostsFile ${knownHosts}\n  StrictHostKeyChecking yes\n`,
          { flag: 'a' },
        );
        const program = run('which', ['sshd']).trim();
        const self = service(`sshd-${name}`, [program, '-D', '-e', '-f', config], () => answersAt(own, 22), namespace);
        await self.start();
        return self;
      },
      async registry({ htpasswd, tls } = {}) {
        const config = join(place, 'registry.yml');
        const served = tls ? `, tls: { certificate: ${tls.cert}, key: ${tls.key} }` : '';
        const auth = htpasswd ? `auth: { htpasswd: { realm: lab, path: ${htpasswd} } }\n` : '';
        writeFileSync(
          config,
          `version: 0.1\nlog: { level: warn }\nstorage: { filesystem: { rootdirectory: ${join(place, 'storage')} }, delete: { enabled: true } }\nhttp: { addr: "${own}:5000"${served} }\n${auth}`,
        );
        const command = ['docker-registry', 'serve', config];
        const self = service(`registry-${name}`, command, () => answersAt(own, 5000), namespace);
        await self.start();
        return self;
      },
      cut: () => void run('ip', ['link', 'set', outer, 'down']),
      restore: () => void run('ip', ['link', 'set', outer, 'up']),
      slow(kilobits) {
        const shape = ['root', 'tbf', 'rate', `${kilobits}kbit`, 'burst', '32kbit', 'latency', '400ms'];
        for (const where of [['tc'], ['nsenter', `--net=/run/netns/${namespace}`, 'tc']]) {
          const device = where.length === 1 ? outer : 'eth0';
          const [program = '', ...before] = where;
          tryRun(program, [...before, 'qdisc', 'del', 'dev', device, 'root']);
          if (kilobits > 0) run(program, [...before, 'qdisc', 'add', 'dev', device, ...shape]);
        }
      },
      exec: (program, args) => inNamespace(program, ...args),
    };
  }

  return {
    folder,
    address,
    sshConfig,
    host,
    async localDocker({ insecureRegistries = [] } = {}) {
      const own = `sblab${subnet}d`;
      tryRun('ip', ['link', 'delete', own]);
      run('ip', ['link', 'add', own, 'type', 'bridge']);
      bridges.push(own);
      run('ip', ['address', 'add', `10.79.${subnet}.1/24`, 'dev', own]);
      run('ip', ['link', 'set', own, 'up']);
      return startDocker('local', [
        ...['--bridge', own, '--iptables=false', '--ip-masq=false'],
        ...insecureRegistries.flatMap((one) => ['--insecure-registry', one]),
      ]);
    },
    async close() {
      await Promise.all(
        services.reverse().map(async (one) => {
          one.resume();
          await one.stop();
        }),
      );
      for (const namespace of namespaces) {
        endAllIn(namespace);
        tryRun('ip', ['netns', 'delete', namespace]);
      }
      tryRun('iptables', ['-D', ...forward]);
      for (const one of bridges) tryRun('ip', ['link', 'delete', one]);
      const mounts = readFileSync('/proc/self/mounts', 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[1] ?? '');
      for (const mount of mounts
        .filter((one) => one.startsWith(folder))
        .sort()
        .reverse())
        tryRun('umount', [mount]);
      rmSync(folder, { recursive: true, force: true });
      emulationOff();
    },
  };
}

/** What its services left: an sshd's session whose other end was killed while the host was cut off, the containerd of a killed engine. */
function endAllIn(namespace: string): void {
  for (const pid of run('ip', ['netns', 'pids', namespace]).split('\n').filter(Boolean)) tryRun('kill', ['-KILL', pid]);
}

/** Lets the kernel run arm64 (on x86-64) or amd64 (on arm64) programs by QEMU; gives what undoes it. */
function emulationOn(): () => void {
  const registry = '/proc/sys/fs/binfmt_misc';
  const format = process.arch === 'arm64' ? 'qemu-x86_64' : 'qemu-aarch64';
  const mounted = existsSync(join(registry, 'register'));
  if (!mounted) run('mount', ['-t', 'binfmt_misc', 'binfmt_misc', registry]);
  const enabled = existsSync(join(registry, format));
  if (!enabled) run('update-binfmts', ['--enable', format]);
  return () => {
    if (!enabled) tryRun('update-binfmts', ['--disable', format]);
    if (!mounted) tryRun('umount', [registry]);
  };
}

export function answersAt(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ host, port, timeout: 500 });
    const done = (answer: boolean): void => {
      probe.destroy();
      resolve(answer);
    };
    probe.once('connect', () => done(true));
    probe.once('error', () => done(false));
    probe.once('timeout', () => done(false));
  });
}

/** Runs the docker client against an engine of the lab. */
export function docker(host: DockerHost, ...args: string[]): string {
  return run('docker', ['--host', `unix://${host.socket}`, ...args]);
}

export function skopeo(...args: string[]): string {
  return run('skopeo', args);
}

/** A certificate authority with a server certificate for an address and a client certificate, in a folder. */
export function makeTls(folder: string, address: string): { server: TlsFiles; client: TlsFiles } {
  mkdirSync(folder, { recursive: true });
  const at = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): string => run('openssl', args);
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=lab',
    '-keyout',
    at('ca-key.pem'),
    '-out',
    at('ca.pem'),
  );
  for (const [name, extension] of [
    ['server', `subjectAltName=IP:${address}`],
    ['client', 'extendedKeyUsage=clientAuth'],
  ] as const) {
    writeFileSync(at(`${name}.ext`), `${extension}\n`);
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      at(`${name}-key.pem`),
      '-out',
      at(`${name}.csr`),
    );
    openssl(
      'x509',
      '-req',
      '-days',
      '2',
      '-in',
      at(`${name}.csr`),
      '-CA',
      at('ca.pem'),
      '-CAkey',
      at('ca-key.pem'),
      '-CAcreateserial',
      '-extfile',
      at(`${name}.ext`),
      '-out',
      at(`${name}.pem`),
    );
    chmodSync(at(`${name}-key.pem`), 0o600);
  }
  const files = (name: string): TlsFiles => ({ ca: at('ca.pem'), cert: at(`${name}.pem`), key: at(`${name}-key.pem`) });
  return { server: files('server'), client: files('client') };
}
