// The files of an image from its layers, as an engine unpacks them: image-spec's layer.md, "Applying Changesets" and "Whiteouts".
import { afterAll, beforeAll, expect, test } from 'vitest';
import { value } from '../../registry/testing.ts';
import { isIndex, isManifest } from '../store.ts';
import { type FileSystem, readFileSystem } from './file-system.ts';
import { type MadeImage, type Rig, startRig } from './testing.ts';

const signal = new AbortController().signal;
let rig: Rig;
beforeAll(async () => {
  rig = await startRig();
});
afterAll(() => rig.close());

async function fileSystem(layers: MadeImage['layers'], wanted: string[] = []): Promise<FileSystem> {
  const result = await read(layers, wanted);
  return value(result);
}

async function read(layers: MadeImage['layers'], wanted: string[]) {
  const reference = await rig.push('x', [{ platform: 'linux/amd64', layers }]);
  const index = value(await rig.client.getManifest(reference, signal));
  const [entry] = isIndex(index) ? index.content.manifests : [];
  const stored = value(await rig.client.getManifest({ ...reference, tag: undefined, digest: entry?.digest }, signal));
  if (!isManifest(stored)) throw new Error('not a manifest');
  return readFileSystem(rig.client, reference, stored.content, (path) => wanted.includes(path), signal);
}

function paths({ files }: FileSystem): string[] {
  return [...files.keys()].sort();
}

test('a file of an upper layer replaces that of a lower one, with its mode, owner and content', async () => {
  const system = await fileSystem(
    [[['etc/'], ['etc/a', 'lower', { mode: 0o644 }]], [['etc/a', 'the upper one', { mode: 0o4755, uid: 7, gid: 8 }]]],
    ['/etc/a'],
  );
  expect(system.files.get('/etc/a')).toEqual({ type: 'file', mode: 0o4755, uid: 7, gid: 8, size: 13 });
  expect(String(Buffer.from(system.contents.get('/etc/a') ?? ''))).toBe('the upper one');
});

test('a whiteout removes a file, or a folder with all that is in it, from the layers below, and not from its own', async () => {
  const system = await fileSystem([
    [['a/'], ['a/x/'], ['a/x/1', '1'], ['a/x/2', '2'], ['a/y', 'y'], ['a/z', 'z']],
    [['a/.wh.x'], ['a/.wh.y'], ['a/y', 'new']],
  ]);
  expect(paths(system)).toEqual(['/a', '/a/y', '/a/z']);
  expect(system.files.get('/a/y')?.size).toBe(3);
});

test('what was removed can come back in a layer above, without what was in it', async () => {
  const system = await fileSystem([[['d/'], ['d/old', '1']], [['.wh.d']], [['d/'], ['d/new', '2']]]);
  expect(paths(system)).toEqual(['/d', '/d/new']);
});

test('an opaque folder has only what its own layer and those above put into it', async () => {
  const system = await fileSystem([
    [['d/'], ['d/old', '1'], ['d/sub/'], ['d/sub/old', '1'], ['e', '1']],
    [['d/', undefined, { mode: 0o700 }], ['d/.wh..wh..opq'], ['d/new', '2']],
  ]);
  expect(paths(system)).toEqual(['/d', '/d/new', '/e']);
  expect(system.files.get('/d')?.mode).toBe(0o700);
});

test('a folder that becomes a link or a file loses what was in it', async () => {
  const system = await fileSystem([
    [['lib/'], ['lib/x', '1'], ['opt/'], ['opt/x', '1']],
    [
      ['lib', undefined, { type: 'symlink', linkname: 'usr/lib' }],
      ['opt', 'a file'],
    ],
  ]);
  expect(paths(system)).toEqual(['/lib', '/opt']);
  expect(system.files.get('/lib')).toMatchObject({ type: 'symlink', target: 'usr/lib' });
});

test('a file where a layer above has files in a folder of the same name is gone', async () => {
  const system = await fileSystem([[['a', 'a file']], [['a/b', '1']]]);
  expect(paths(system)).toEqual(['/a', '/a/b']);
  expect(system.files.get('/a')?.type).toBe('directory');
});

test('folders that no layer has an entry for are there as engines make them', async () => {
  const system = await fileSystem([[['a/b/c', '1']]]);
  expect(system.files.get('/a/b')).toEqual({ type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0 });
});

test('a hard link is the file that it is another name of, also where that lies in a layer below', async () => {
  const system = await fileSystem([
    [
      ['bin/a', '12345', { mode: 0o755 }],
      ['bin/b', undefined, { type: 'link', linkname: 'bin/a' }],
    ],
    [['bin/c', undefined, { type: 'link', linkname: 'bin/a' }]],
  ]);
  const facts = { type: 'file', mode: 0o755, uid: 0, gid: 0, size: 5 };
  expect(['/bin/a', '/bin/b', '/bin/c'].map((path) => system.files.get(path))).toEqual([facts, facts, facts]);
});

test('the content of a wanted file that is a hard link is that of the other name', async () => {
  const system = await fileSystem(
    [
      [
        ['objects/1', 'database'],
        ['var/db', undefined, { type: 'link', linkname: 'objects/1' }],
      ],
    ],
    ['/var/db'],
  );
  expect(String(Buffer.from(system.contents.get('/var/db') ?? ''))).toBe('database');
});

test('a wanted file whose content lies in another layer is a failure, not a file without content', async () => {
  const result = await read(
    [[['objects/1', 'database']], [['var/db', undefined, { type: 'link', linkname: 'objects/1' }]]],
    ['/var/db'],
  );
  expect(result).toMatchObject({
    ok: false,
    failure: { kind: 'verification', message: expect.stringContaining('/var/db') },
  });
});

test('a file in the place of a folder ends that folder’s files, also where it is a folder again above', async () => {
  const system = await fileSystem([[['d/'], ['d/old', '1']], [['d', 'a file']], [['d/'], ['d/new', '2']]]);
  expect(paths(system)).toEqual(['/d', '/d/new']);
});
