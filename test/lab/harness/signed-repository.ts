import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { digestOf } from '../../../src/digest.ts';
import { runProgram } from '../../../src/system/run-program.ts';

/** A Debian repository with one package, signed by a key of its own, served on this machine's loopback. */
export interface SignedRepository {
  readonly uri: string;
  /** Paths that were asked for. */
  readonly asked: readonly string[];
  stop(): void;
}

/** Makes a repository of the suite `site` in a folder; its key goes into the file `key`, its package is `name`. */
export async function startSignedRepository(
  folder: string,
  name: string,
  key: string,
): Promise<SignedRepository> {
  const tree = join(folder, 'package');
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(join(tree, 'usr/lib', name), { recursive: true });
  await writeFile(join(tree, 'usr/lib', name, 'words'), 'from a repository of the site\n');
  const control = [`Package: ${name}`, 'Version: 1.0', 'Architecture: all'];
  await writeFile(
    join(tree, 'DEBIAN/control'),
    [...control, 'Maintainer: site <site@example.net>', 'Description: a test', ''].join('\n'),
  );
  const binary = join(folder, 'dists/site/main/binary-amd64');
  await mkdir(binary, { recursive: true });
  await mkdir(join(folder, 'pool'));
  await runProgram('dpkg-deb', ['--build', '--root-owner-group', tree, join(folder, 'pool')]);
  const file = `pool/${name}_1.0_all.deb`;
  const bytes = await readFile(join(folder, file));
  const index = [
    ...[...control, 'Maintainer: site <site@example.net>', `Filename: ${file}`],
    ...[`Size: ${bytes.length}`, `SHA256: ${digestOf(bytes)}`, 'Description: a test', ''],
  ].join('\n');
  await writeFile(join(binary, 'Packages'), index);
  const release = [
    ...['Origin: Site', 'Suite: site', 'Codename: site', 'Components: main'],
    ...['Architectures: amd64', `Date: ${new Date().toUTCString()}`, 'SHA256:'],
    ` ${digestOf(index)} ${Buffer.byteLength(index)} main/binary-amd64/Packages`,
  ];
  await writeFile(join(folder, 'dists/site/Release'), `${release.join('\n')}\n`);
  await sign(folder, key);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '');
    asked.push(path);
    readFile(join(folder, path)).then(
      (found) => response.end(found),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { uri: `http://127.0.0.1:${port}`, asked, stop: () => server.close() };
}

async function sign(folder: string, key: string): Promise<void> {
  const home = join(folder, 'gnupg');
  await mkdir(home, { mode: 0o700 });
  const gpg = (...args: string[]) =>
    runProgram('gpg', ['--batch', '--homedir', home, '--passphrase', '', ...args]);
  await gpg('--quick-generate-key', 'site@example.net', 'ed25519', 'sign', 'never');
  const release = join(folder, 'dists/site/Release');
  await gpg('--clearsign', '--output', join(folder, 'dists/site/InRelease'), release);
  await gpg('--armor', '--output', key, '--export');
  await runProgram('gpgconf', ['--homedir', home, '--kill', 'all']);
}
