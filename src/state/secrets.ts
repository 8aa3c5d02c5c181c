import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { type OverlayFile, rootFile } from '../roles/overlay-file.ts';
import type { SharedSecret } from '../roles/shared-secret.ts';
import { isLabel } from '../site/read-values.ts';
import { runProgram } from '../system/run-program.ts';
import { ensureCertificate } from './certificates.ts';
import { madeOnce } from './made-once.ts';

const hostKey = 'ssh_host_ed25519_key';

/**
 * The secrets of a node: its SSH host key (ed25519), made once and kept under `secrets/<node>` of the state
 * folder, and those that it shares. The same files at every call, also where two are under way.
 */
export async function ensureSecrets(
  stateDir: string,
  node: string,
  shared: readonly SharedSecret[] = [],
): Promise<OverlayFile[]> {
  if (!isLabel(node)) throw new AppError('node-name', `${node} cannot be the name of a node`);
  const key = await madeOnce(join(stateDir, 'secrets', node, hostKey), async (aside) => {
    const made = join(aside, hostKey);
    await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', node, '-f', made]);
    return made;
  });
  const files: OverlayFile[] = [rootFile(`/etc/ssh/${hostKey}`, key, 0o600)];
  for (const { name, hosts, path, mode, uid, gid } of shared) {
    const content = await ensureCertificate(stateDir, name, hosts);
    files.push({ path, kind: 'file', mode, uid, gid, content });
  }
  return files;
}
