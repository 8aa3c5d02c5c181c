import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { runProgram } from './run-program.ts';

/** What decides whether an ordinary user may be root of a namespace with many users. */
export interface NamespaceFacts {
  readonly user: string;
  readonly uid: number;
  /** Whether newuidmap(1) and newgidmap(1) are there. */
  readonly hasUidmap: boolean;
  /** Texts of /etc/subuid and /etc/subgid. */
  readonly subuid: string;
  readonly subgid: string;
  /** What the kernel says where even an empty namespace is refused; undefined where one was made. */
  readonly refusal: string | undefined;
  /** sysctl(8) settings that are there and refuse it, as `name=value`. */
  readonly forbidding: readonly string[];
}

/** All that is missing, each with what root has to type; empty where nothing is. */
export function missingForNamespace(facts: NamespaceFacts): string[] {
  const { user, uid, refusal, forbidding } = facts;
  const lacksRange = (text: string) =>
    !text.split('\n').some((line) => {
      const [name, first, count] = line.split(':');
      return (
        (name === user || name === String(uid)) && Number(first) > 0 && Number(count) >= 65_536
      );
    });
  const range = (option: string, file: string) =>
    `${user} has no 65536 ids in ${file}: usermod --add-${option} 100000-165535 ${user}`;
  return [
    ...(facts.hasUidmap ? [] : ['newuidmap is not installed: apt-get install uidmap']),
    ...(lacksRange(facts.subuid) ? [range('subuids', '/etc/subuid')] : []),
    ...(lacksRange(facts.subgid) ? [range('subgids', '/etc/subgid')] : []),
    ...forbidding.map((setting) => {
      const [name = ''] = setting.split('=');
      const allowed = name.includes('restrict') ? '0' : name.includes('max') ? '10000' : '1';
      return `${setting} forbids user namespaces: sysctl -w ${name}=${allowed}`;
    }),
    ...(refusal !== undefined && forbidding.length === 0
      ? [`the kernel refuses a user namespace (${refusal}): a container may need more privileges`]
      : []),
  ];
}

/** Looks at this machine and its user. */
export async function readNamespaceFacts(): Promise<NamespaceFacts> {
  const text = (file: string) => readFile(file, 'utf8').catch(() => '');
  const { username, uid } = userInfo();
  const hasUidmap = await Promise.all(
    ['newuidmap', 'newgidmap'].map((name) =>
      runProgram('which', [name]).then(
        () => true,
        () => false,
      ),
    ),
  );
  const refusal = await runProgram('unshare', ['--user', '--map-root-user', 'true']).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? (error.message.split('\n').at(-1) ?? '') : ''),
  );
  const settings: [string, string][] = [
    ['kernel.unprivileged_userns_clone', '0'],
    ['kernel.apparmor_restrict_unprivileged_userns', '1'],
    ['user.max_user_namespaces', '0'],
  ];
  const forbidding: string[] = [];
  for (const [name, value] of settings) {
    const found = (await text(`/proc/sys/${name.replaceAll('.', '/')}`)).trim();
    if (refusal !== undefined && found === value) forbidding.push(`${name}=${value}`);
  }
  const [subuid, subgid] = [await text('/etc/subuid'), await text('/etc/subgid')];
  const all = hasUidmap.every((there) => there);
  return { user: username, uid, hasUidmap: all, subuid, subgid, refusal, forbidding };
}

/**
 * Runs this same command line again as root of a namespace in which the user's subordinate ids are the users 1 and
 * up, subuid(5); gives back its exit code.
 */
export async function runAsNamespaceRoot(env: Readonly<Record<string, string>>): Promise<number> {
  const child = spawn(
    'unshare',
    [
      ...['--user', '--map-root-user', '--map-auto', '--mount', '--', process.execPath],
      ...[...process.execArgv, ...process.argv.slice(1)],
    ],
    { stdio: 'inherit', env: { ...process.env, ...env } },
  );
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  return code ?? (signal === 'SIGINT' ? 130 : 1);
}
