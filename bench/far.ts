// A relay before a registry that is not on this machine: each byte arrives 10 ms later, in both directions, however many are on their way.
// `far.ts HOST:PORT MS` relays until it is ended, and prints the address that it listens at.
import { connect, createServer, type Socket } from 'node:net';

const [to = '', ms = '10'] = process.argv.slice(2);
const { hostname, port } = new URL(`http://${to}`);

function relay(from: Socket, other: Socket): void {
  from.on('data', (chunk) => setTimeout(() => other.writable && other.write(chunk), Number(ms)));
  from.on('end', () => setTimeout(() => other.end(), Number(ms)));
  from.on('error', () => other.destroy());
}

const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
  // A connection takes a round trip too.
  const far = connect({ host: hostname, port: Number(port), noDelay: true, allowHalfOpen: true });
  relay(near, far);
  relay(far, near);
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (typeof address === 'object') process.stdout.write(`127.0.0.1:${address?.port}\n`);
});
