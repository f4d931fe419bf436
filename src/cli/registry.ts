// `splitbuild registry serve`: the embedded registry alone, for looking at and pulling what a run made.
import { resolve } from 'node:path';
import { startEmbeddedRegistry } from '../registry/embedded.ts';
import { interruptSignal, printFailure } from './load.ts';
import { splitAddress } from './open-registry.ts';

export async function serve(options: { state: string; listen: string }): Promise<number> {
  const signal = interruptSignal();
  const root = resolve(options.state, 'registry');
  const server = await startEmbeddedRegistry({ root, ...splitAddress(options.listen) });
  if (!server.ok) return printFailure(server.failure);
  process.stderr.write(`Serving ${root} on http://${server.value.address}; Ctrl-C ends it.\n`);
  await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
  await server.value.close();
  return 0;
}
