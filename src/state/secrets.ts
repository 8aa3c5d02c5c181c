import { link, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import type { OverlayFile } from '../roles/overlay-file.ts';
import { isLabel } from '../site/read-values.ts';
import { syncFolder } from '../system/durable-file.ts';
import { runProgram } from '../system/run-program.ts';

const hostKey = 'ssh_host_ed25519_key';

/**
 * The secrets of a node, made once and kept under `secrets/<node>` of the state folder, readable by its
 * owner only: the SSH host key (ed25519). The same files at every call, also where two are under way.
 */
export async function ensureSecrets(stateDir: string, node: string): Promise<OverlayFile[]> {
  if (!isLabel(node)) throw new AppError('node-name', `${node} cannot be the name of a node`);
  const dir = join(stateDir, 'secrets', node);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, hostKey);
  const key = (await readIfThere(file)) ?? (await makeHostKey(dir, file, node));
  return [{ path: `/etc/ssh/${hostKey}`, kind: 'file', mode: 0o600, uid: 0, gid: 0, content: key }];
}

async function makeHostKey(dir: string, file: string, node: string): Promise<string> {
  const aside = await mkdtemp(join(dir, '.making-'));
  try {
    const made = join(aside, hostKey);
    await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', node, '-f', made]);
    await syncFile(made);
    // A link never replaces a file that is there: who comes second takes the first one's key.
    await link(made, file).catch((error: unknown) => {
      if (!isCode(error, 'EEXIST')) throw error;
    });
    await syncFolder(dir);
    return await readFile(file, 'utf8');
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: unknown) => {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  });
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
